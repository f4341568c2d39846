"""Kafka Connect's REST interface over TLS and with a login: two real workers, asked by the operator's own client."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.clients.errors import HeadraceError, Unauthorized, Unreachable
from headrace_operator.plan import names, rest, workers
from tests.cluster import authority
from tests.connect_worker import launch, plugins
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.operator.entering import HOST, REST, URL, certify, entering
from tests.ports import free_port
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.case("clusters-18")]

JAAS = Path(__file__).parents[2] / "connectors/connect/rest.jaas"
LOGIN = {"username": "opérator", "password": 'pa"ß\\ :{x}'}
SPEC: dict[str, Any] = {"kafka": "kafka", "workers": {}, "rest": REST}


@dataclass(kw_only=True)
class Workers:
    """Two workers of one group: ``mounted`` is what their Secrets are mounted as, ``ports`` are their addresses."""

    mounted: Path
    ports: tuple[int, int]
    processes: tuple[subprocess.Popen[bytes], ...] = ()

    def are_at(self, address: str) -> None:
        """Let the workers find one another at this address of loopback, each at its own port."""
        named = (names.connect_worker("shop", "main", f"10.0.0.{number}") for number in (0, 1))
        (self.mounted / "hosts").write_text("".join(f"{address} {name}\n" for name in named))

    def secrets(self, **login: str) -> dict[str, dict[str, str]]:
        """Return the Secrets that the operator reads, with another login."""
        return {"tls": {"ca.crt": (self.mounted / "ca.crt").read_text()}, "login": {**LOGIN, **login}}


def properties(broker: KafkaBroker, mounted: Path, number: int, port: int) -> str:
    """Return the operator's own properties for a worker that calls itself by the name of its address."""
    own = {
        "plugin.path": str(plugins()),
        "listeners": f"HTTPS://127.0.0.1:{port}",
        "rest.advertised.host.name": names.connect_worker("shop", "main", f"10.0.0.{number}"),
        "group.id": "connect.shop.protected",
    }
    spec = ConnectClusterSpec.model_validate({**SPEC, "workers": {"config": own}})
    kafka = KafkaConnectionSpec.model_validate({"bootstrapServers": broker.bootstrap_servers})
    return workers.worker_properties(worlds.CONNECT, spec, kafka).replace(rest.FOLDER, str(mounted))


@pytest.fixture(scope="module")
def protected(kafka_broker: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    mounted, ports = tmp_path_factory.mktemp("rest"), (free_port(), free_port())
    certify(mounted)
    for key, value in LOGIN.items():
        (mounted / key).write_text(f"{value}\n")
    (mounted / "rest.jaas").write_text(JAAS.read_text().replace(rest.FOLDER, str(mounted)))
    found = Workers(mounted=mounted, ports=ports)
    found.are_at("127.0.0.1")
    options = (
        f"-Djdk.net.hosts.file={mounted / 'hosts'}",
        "-Dsun.net.inetaddr.ttl=0",
        f"-Djava.security.auth.login.config={mounted / 'rest.jaas'}",
        "-Dfile.encoding=UTF-8",
    )
    found.processes += tuple(
        launch(tmp_path_factory.mktemp("worker"), properties(kafka_broker, mounted, number, port), *options)
        for number, port in enumerate(ports)
    )
    try:
        yield found
    finally:
        for process in found.processes:
            process.kill()
            process.wait(PATIENCE)


async def answers(protected: Workers, port: int) -> bool:
    """Tell whether a worker has joined the others: one that has not knows no leader to forward to."""
    assert all(process.poll() is None for process in protected.processes)
    async with entering(port, protected.secrets()) as connect:
        try:
            await connect.workers(URL)
            await connect.remove(URL, "shop.nobody")
        except Unauthorized:
            raise
        except HeadraceError:
            return False
    return True


async def await_answer(protected: Workers, port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await answers(protected, port):  # noqa: ASYNC110 - it does not tell when it is so
            await asyncio.sleep(0.5)


async def test_the_operator_and_workers_among_themselves_are_let_in(protected: Workers) -> None:
    """A removal is the leader's: the other worker forwards it, and checks the leader's certificate by its name."""
    for port in protected.ports:
        await await_answer(protected, port)


async def test_workers_of_another_authority_are_told_nothing(protected: Workers, tmp_path: Path) -> None:
    port = protected.ports[0]
    await await_answer(protected, port)
    certify(tmp_path)
    other = {**protected.secrets(), "tls": {"ca.crt": (tmp_path / "ca.crt").read_text()}}

    async with entering(port, other) as connect:
        with pytest.raises(Unauthorized, match=r"certificate of Kafka Connect is not trusted .*ca\.crt must be"):
            await connect.workers(URL)


@pytest.mark.parametrize("login", [{"password": "another"}, {"username": "another"}, {"password": ""}])
async def test_another_login_is_refused(protected: Workers, login: dict[str, str]) -> None:
    port = protected.ports[0]
    await await_answer(protected, port)

    async with entering(port, protected.secrets(**login)) as connect:
        with pytest.raises(Unauthorized, match=r"refused user name and password: the Secret of rest\.auth") as refused:
            await connect.workers(URL)

    assert LOGIN["password"] not in str(refused.value)


async def test_nobody_else_is_let_in(protected: Workers) -> None:
    """Neither without TLS, nor without a login."""
    port = protected.ports[0]
    await await_answer(protected, port)
    async with entering(port, protected.secrets()) as connect:
        entrance = connect._hosts.at(URL).entrance
        assert entrance is not None
        connect.enter(URL, replace(entrance, login=None))
        with pytest.raises(Unauthorized, match="refused user name and password"):
            await connect.workers(URL)
        with pytest.raises(Unreachable):
            await connect.workers(f"http://127.0.0.1:{port}")


async def test_the_kubelet_gets_through_tls_by_the_name_that_its_probe_has(protected: Workers) -> None:
    """It asks an address, which no certificate has, and is answered 400 without that name."""
    port = protected.ports[0]
    await await_answer(protected, port)
    spec = ConnectClusterSpec.model_validate({**SPEC, "rest": {"tls": REST["tls"]}})
    probe = rest.probes(worlds.CONNECT, spec.rest)["livenessProbe"]["httpGet"]
    named = {one["name"]: one["value"] for one in probe["httpHeaders"]}

    async with aiohttp.ClientSession() as session:
        url = f"{probe['scheme'].lower()}://127.0.0.1:{port}{probe['path']}"
        statuses = [(await session.get(url, headers=headers, ssl=False)).status for headers in (named, {})]

    assert statuses == [401, 400]


async def test_a_changed_password_counts_at_once(protected: Workers) -> None:
    """Nothing is started anew: workers read the mounted Secret for each request."""
    port, file = protected.ports[0], protected.mounted / "password"
    await await_answer(protected, port)
    file.write_text("another")
    try:
        async with entering(port, protected.secrets(password="another")) as connect:
            assert (await connect.workers(URL)).version
        async with entering(port, protected.secrets()) as connect:
            with pytest.raises(Unauthorized):
                await connect.workers(URL)
    finally:
        file.write_text(LOGIN["password"])


@pytest.mark.parametrize(("verb", "path"), [("POST", "tasks"), ("PUT", "fence")])
@pytest.mark.parametrize("signed", [{}, {"X-Connect-Authorization": "Zm9yZ2Vk"}])
async def test_what_workers_send_one_another_without_a_login_is_theirs_alone(
    protected: Workers, verb: str, path: str, signed: dict[str, str]
) -> None:
    """Kafka Connect asks for no login there; who could send tasks could read all that workers may."""
    port = protected.ports[0]
    await await_answer(protected, port)
    headers = {"Host": HOST, "X-Connect-Request-Signature-Algorithm": "HmacSHA256", **signed}

    async with aiohttp.ClientSession() as session:
        at = f"https://127.0.0.1:{port}/connectors/shop.orders-db/{path}"
        async with session.request(verb, at, headers=headers, json=[], ssl=False) as response:
            said = await response.json()

    assert (response.status, said["message"]) in (
        (400, "Internal request missing required signature"),
        (403, "Internal request contained invalid signature."),
    )
    assert (response.status == 403) == bool(signed)


@dataclass
class Listening:
    """What somebody at the workers' addresses was told over TLS: nothing by who has hung up."""

    authority: ssl.SSLContext
    met: int = 0
    heard: list[bytes] = field(default_factory=list)

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        try:
            await writer.start_tls(self.authority)
            self.heard.append(await reader.readuntil(b"\r\n\r\n"))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def in_their_place(protected: Workers, certificate: str) -> AsyncIterator[Listening]:
    """Listen where workers find one another, and show a certificate of their authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(protected.mounted / f"{certificate}.crt", protected.mounted / f"{certificate}.key")
    listening = Listening(context)
    servers = [await asyncio.start_server(listening.hear, "127.0.0.2", port) for port in protected.ports]
    protected.are_at("127.0.0.2")
    try:
        yield listening
    finally:
        protected.are_at("127.0.0.1")
        for server in servers:
            server.close()


@pytest.mark.parametrize(("certificate", "told"), [("other", False), ("tls", True)])
async def test_workers_forward_no_login_to_who_has_anothers_certificate(
    protected: Workers, certificate: str, told: bool
) -> None:
    """One of the same authority is not enough, such as that of the next ConnectCluster: it must be for their name."""
    for port in protected.ports:
        await await_answer(protected, port)
    other = names.connect_domain("shop", "other")
    authority.sign(protected.mounted, authority.Certificate(file="other", user="x", serves=(other, f"*.{other}")))

    async with in_their_place(protected, certificate) as listening:
        async with asyncio.timeout(PATIENCE):
            removed = [False]
            while sorted(removed) != [False, True]:
                await asyncio.sleep(0.5)  # the leader may be busy with something else
                removed = [await answers(protected, port) for port in protected.ports]

    assert listening.met
    assert any(b"authorization: basic" in one.lower() for one in listening.heard) == told
