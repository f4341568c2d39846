"""Connectors on a real Kafka Connect that somebody else configured: TLS, a login, and config providers of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import psycopg
import pytest

from headrace_operator.clients.connect import Connect
from headrace_operator.clients.connect_entrances import Entrances
from headrace_operator.clients.errors import HeadraceError, Unauthorized
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.observed.kube import SecretSeen
from headrace_operator.reconcile.remote import Remote
from tests.cluster import authority
from tests.connect_worker import ConnectWorker, launch, plugins
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.operator.capturing import Capturing, make_database
from tests.operator.reconcile.test_connector_life import Shelf
from tests.ports import free_port
from tests.postgres_server import PostgresServer
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

NAME = "external://main.shop"
LOGIN = {"username": "operator", "password": "an0ther"}
PROVIDERS = "org.apache.kafka.common.config.provider"
JSON = "org.apache.kafka.connect.json.JsonConverter"
TABLES = {"tables": ["public.t"]}


@dataclass
class Keeping(Shelf):
    """The objects, and the values of the Secrets by which the Kafka Connect is entered."""

    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    async def secret_values(self, _: str, name: str, __: str) -> Mapping[str, bytes]:
        return {key: value.encode() for key, value in self.values[name].items()}


def properties(broker: KafkaBroker, folder: Path, port: int) -> str:
    """Return the properties of a worker as somebody else writes them."""
    stores = "listeners.https.ssl.keystore"
    return "\n".join(
        (
            f"bootstrap.servers={broker.bootstrap_servers}",
            "group.id=outside",
            *(f"{one}.storage.topic=outside.{one}" for one in ("config", "offset", "status")),
            *(f"{one}.storage.replication.factor=1" for one in ("config", "offset", "status")),
            *(f"{one}.converter={JSON}" for one in ("key", "value")),
            f"listeners=HTTPS://127.0.0.1:{port}",
            f"{stores}.type=PKCS12",
            f"{stores}.location={folder / 'server.p12'}",
            f"{stores}.password=changeit",
            "rest.advertised.host.name=127.0.0.1",
            "rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
            "config.providers=directory,file",
            f"config.providers.directory.class={PROVIDERS}.DirectoryConfigProvider",
            f"config.providers.file.class={PROVIDERS}.FileConfigProvider",
            f"plugin.path={plugins()}",
            "offset.flush.interval.ms=500",
        )
    )


def protect(folder: Path) -> tuple[str, ...]:
    """Make certificate and login of a worker in its folder, and return the options of its JVM."""
    authority.issue(folder, [authority.Certificate(file="server", user="connect", serves=("127.0.0.1",))])
    store = ("-in", folder / "server.crt", "-inkey", folder / "server.key", "-out", folder / "server.p12")
    subprocess.run(("openssl", "pkcs12", "-export", "-passout", "pass:changeit", *map(str, store)), check=True)
    (folder / "logins").write_text(f"{LOGIN['username']}={LOGIN['password']}\n")
    module = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule"
    (folder / "jaas").write_text(f'KafkaConnect {{ {module} required file="{folder / "logins"}"; }};\n')
    return (f"-Djava.security.auth.login.config={folder / 'jaas'}",)


@pytest.fixture(scope="module")
def outside(kafka_broker: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectWorker]:
    """Run a worker as somebody else does, until the last test of this file."""
    folder, port = tmp_path_factory.mktemp("outside"), free_port()
    process = launch(folder, properties(kafka_broker, folder, port), *protect(folder))
    try:
        yield ConnectWorker(url=f"https://127.0.0.1:{port}", folder=folder, process=process)
    finally:
        process.kill()
        process.wait(PATIENCE)


@pytest.fixture
async def shop(
    outside: ConnectWorker, postgres_server: PostgresServer, kafka_broker: KafkaBroker
) -> AsyncIterator[Capturing]:
    """Give a database, and a ConnectCluster that names the worker, which reads Secrets from directories."""
    name = make_database(postgres_server)
    secret = SecretSeen(name=name, keys=frozenset({"username", "password"}))
    kafka = worlds.kafka(kafka_broker.bootstrap_servers)
    shelf = Keeping(
        objects={},
        secrets={name: secret},
        values={"login": LOGIN, "authority": {"ca.crt": (outside.folder / "ca.crt").read_text()}},
    )
    async with aiohttp.ClientSession() as session:
        connect = Connect(session, deadline=PATIENCE, kept=0)
        with contextlib.closing(Kafkas(cast(Any, shelf))) as kafkas:
            known = (await (await kafkas.open(kafka)).cluster()).cluster_id
            shelf.put(dataclasses.replace(kafka, status={**kafka.status, "clusterId": known}))
            clients = {"kube": shelf, "near": shelf, "connect": connect, "kafkas": kafkas}
            entrances = Entrances(cast(Any, shelf))
            remote = Remote(**cast(Any, {**clients, "entrances": entrances, "agents": None, "relays": None}))
            made = Capturing(
                name=name, worker=outside, server=postgres_server, broker=kafka_broker, remote=remote, shelf=shelf
            )
            made.run(f"GRANT ALL ON SCHEMA public TO {name}", superuser=True)
            made.run("CREATE TABLE public.t (id int PRIMARY KEY)", "INSERT INTO public.t VALUES (1)")
            made.write_secret("first")
            reads(made, f"${{directory:{outside.folder}/{{namespace}}/{{name}}:{{key}}}}")
            yield made
            await asyncio.to_thread(end, made)


def end(shop: Capturing) -> None:
    """Drop the slot that a Connector leaves, once nobody reads it."""
    with psycopg.connect(shop.server.url(), autocommit=True) as database:
        query = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s"

        def is_dropped() -> bool:
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                database.execute(query, (shop.name,))
                return True
            return False

        until("a slot that nobody reads", is_dropped)


def reads(shop: Capturing, reference: str, secret: str = "login") -> None:
    """Make or edit the ConnectCluster: how its Kafka Connect names Secrets, and by which login it is entered."""
    external = {
        "url": shop.worker.url,
        "tls": {"ca": {"secret": "authority", "key": "ca.crt"}},
        "auth": {"credentials": {"secret": secret}},
        "secretReference": reference,
    }
    spec = {"kafka": "kafka", "external": external}
    old = shop.shelf.objects.get(("ConnectCluster", "main"))
    new = worlds.resource("ConnectCluster", "main", spec)
    shop.shelf.put(dataclasses.replace(old, spec=spec, generation=old.generation + 1) if old else new)


async def answers(shop: Capturing) -> None:
    """Wait until the worker is up: passes over the ConnectCluster say so."""
    async with asyncio.timeout(PATIENCE):
        while not shop.shelf.objects["ConnectCluster", "main"].status.get("version"):
            assert shop.worker.process.poll() is None, shop.worker.log[-3000:]
            await shop.look_at_workers()
            await asyncio.sleep(0.5)


def keys(rows: list[tuple[bytes | None, bytes | None]]) -> list[bytes]:
    return sorted(key or b"" for key, _ in rows)


async def test_rows_flow_by_its_own_providers_and_leave_with_their_connector(shop: Capturing) -> None:
    """From a directory, and after an edit from a file, with nothing lost or read anew; no password is told to it."""
    await answers(shop)
    shop.apply(shop.name, TABLES)
    await shop.until(shop.name, "True", "Ready")
    shop.run("INSERT INTO public.t VALUES (2)")
    topic = f"shop.{shop.name}.public.t"
    first = keys(await shop.rows_while_looking(topic, 2))

    file = shop.worker.folder / f"{shop.name}.properties"
    file.write_text(f"username={shop.name}\npassword=first\n")
    reads(shop, f"${{file:{shop.worker.folder}/{{name}}.properties:{{key}}}}")
    await shop.until(shop.name, "True", "Ready")
    await shop.look(shop.name)
    seen = await raw(shop)
    shop.run("INSERT INTO public.t VALUES (3)")
    second = keys(await shop.rows_while_looking(topic, 3))
    await shop.delete(shop.name)

    assert first == [b'{"id":1}', b'{"id":2}']
    assert second == [b'{"id":1}', b'{"id":2}', b'{"id":3}']
    assert seen["database.password"] == f"${{file:{file}:password}}"
    assert (await shop.remote.connect.workers(NAME)).connectors == {}
    assert "an0ther" not in shop.worker.log


async def raw(shop: Capturing) -> dict[str, str]:
    """Return the configuration as that Kafka Connect has it, asked for by hand."""
    entrance = shop.remote.connect._hosts.at(NAME).entrance
    assert entrance is not None
    assert entrance.authority is not None
    at, login = f"{shop.worker.url}/connectors/shop.{shop.name}/config", {"Authorization": entrance.login or ""}
    async with aiohttp.ClientSession(headers=login) as session, session.get(at, ssl=entrance.authority) as answer:
        found: dict[str, str] = await answer.json()
        return found


async def test_a_login_that_it_refuses_and_a_secret_that_it_cannot_read_are_told(shop: Capturing) -> None:
    await answers(shop)
    assert isinstance(shop.shelf, Keeping)
    shop.shelf.values = {**shop.shelf.values, "wrong": {**LOGIN, "password": "x"}}
    reads(shop, f"${{directory:{shop.worker.folder}/nowhere/{{name}}:{{key}}}}", secret="wrong")
    await shop.look_at_workers()
    await shop.look_at_workers()
    cluster = shop.shelf.objects["ConnectCluster", "main"]
    told = next(one for one in cluster.status["conditions"] if one["type"] == "Answering")

    assert told["status"] == "False"
    assert "the Secret of external.auth must hold" in told["message"]
    reads(shop, f"${{directory:{shop.worker.folder}/nowhere/{{name}}:{{key}}}}")
    await answers(shop)
    shop.apply(shop.name, TABLES)
    refused = await shop.await_(shop.name, lambda ready: ready["reason"] in ("ValidationFailed", "Starting"))
    assert refused["status"] == "False"
    with contextlib.suppress(HeadraceError, Unauthorized):
        await shop.remote.connect.remove(NAME, f"shop.{shop.name}")
