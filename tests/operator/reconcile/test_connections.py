"""KafkaConnections on a real API server: which one is used, with which login, and when its client ends."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace_operator.clients.agent import Agents
from headrace_operator.clients.api import connection
from headrace_operator.clients.connect import Connect
from headrace_operator.clients.connect_entrances import Entrances
from headrace_operator.clients.errors import Invalid, Unreachable
from headrace_operator.clients.kafka_connections import SECRETS, SUPERSEDED, Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.clients.relay import Relays
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import kafkaconnection
from headrace_operator.reconcile.observe import connections as observe
from headrace_operator.reconcile.remote import Remote
from tests.cluster.fast import ApiServer
from tests.operator import worlds
from tests.operator.crowd import Patient
from tests.operator.operator_process import kubectl

pytestmark = pytest.mark.apiserver

SPEC: dict[str, Any] = {
    "bootstrapServers": "127.0.0.1:1",
    "sasl": {"mechanism": "PLAIN", "credentials": {"secret": "login"}},
    "properties": {"client.rack": "a"},
}


@pytest.fixture
def login(server: ApiServer, tmp_path: Path) -> Iterator[None]:
    """Make a Secret that holds something binary beside the login, as those with a key store do."""
    store = tmp_path / "store.p12"
    store.write_bytes(b"\xff\x00\xfe")
    kubectl(
        server,
        "-n",
        "shop",
        "create",
        "secret",
        "generic",
        "login",
        "--from-literal=username=me",
        "--from-literal=password=x",
        f"--from-file={store}",
    )
    yield
    server.client.delete("secret", "login", "shop")


@pytest.fixture
def clock() -> list[float]:
    """Give the clock by which clients of an earlier login end: its one entry is the time."""
    return [0.0]


@pytest.fixture
async def remote(server: ApiServer, login: None, clock: list[float]) -> AsyncIterator[Remote]:
    api = Patient(await connection(str(server.kubeconfig)))
    kube = Kube(api)
    async with aiohttp.ClientSession() as session:
        kafkas, entrances = Kafkas(kube, now=lambda: clock[0]), Entrances(kube)
        connect, agents = Connect(session), Agents(session)
        made = Remote(
            kube=kube,
            near=kube,
            connect=connect,
            kafkas=kafkas,
            entrances=entrances,
            agents=agents,
            relays=Relays(session),
        )
        yield made
        made.kafkas.close()
    await api.close()


async def test_only_what_was_accepted_is_used(server: ApiServer, remote: Remote) -> None:
    """Before its own pass a KafkaConnection is unknown to others; its own pass asks the spec it accepts."""
    made = {
        "apiVersion": "headrace.dev/v1alpha1",
        "kind": "KafkaConnection",
        "metadata": {"name": "fresh", "namespace": "shop"},
        "spec": SPEC,
    }
    server.client.apply(made)
    found = await observe.kafka_reference(remote, "shop", "fresh")
    assert isinstance(found, Unknown)
    assert "not accepted" in found.reason

    resource = await remote.kube.resource("KafkaConnection", "shop", "fresh")
    assert isinstance(resource, Resource)
    with pytest.raises(Invalid, match="not accepted"):
        await remote.kafkas.open(resource)
    world = await observe.kafka_connection(resource, remote)
    assert isinstance(world.cluster, Unknown)
    assert "127.0.0.1:1 does not answer" in world.cluster.reason
    plan = kafkaconnection.plan(world, worlds.SETTINGS, datetime.now(UTC))
    await remote.kube.write_status(resource, {name: value for name, value in plan.status.items() if value is not None})

    found = await observe.kafka_reference(remote, "shop", "fresh")
    assert isinstance(found, Resource)
    assert await remote.kafkas.open(found) is await remote.kafkas.open(found)


async def test_a_refused_spec_is_not_asked(remote: Remote) -> None:
    """Its own pass opens nothing with a property that does more than tune."""
    spec = {**SPEC, "properties": {"plugin.library.paths": "/tmp/evil"}}
    world = await observe.kafka_connection(worlds.resource("KafkaConnection", "evil", spec), remote)

    assert isinstance(world.cluster, Unknown)
    assert "not accepted" in world.cluster.reason
    assert world.secrets == {}


async def test_a_client_ends_with_its_connection_or_its_login(
    server: ApiServer, remote: Remote, clock: list[float]
) -> None:
    """A new password makes a new client, and closes the old one once nobody asks by it; what is gone leaves none."""
    status = {"accepted": {"generation": 1, "spec": SPEC}}
    resource = worlds.resource("KafkaConnection", "kafka", SPEC, status=status)
    first = await remote.kafkas.open(resource)
    kubectl(server, "-n", "shop", "patch", "secret", "login", "-p", json.dumps({"stringData": {"password": "y"}}))
    clock[0] += SUPERSEDED + 1
    second = await remote.kafkas.open(resource)
    with pytest.raises(Unreachable, match="closed"):
        await first.cluster()
    other = await remote.kafkas.open(dataclasses.replace(resource, name="other"))
    remote.kafkas.forget("shop", "kafka")
    remote.kafkas.forget("shop", "never-opened")

    assert len({first, second, other}) == 3
    with pytest.raises(Unreachable, match="closed"):
        await second.cluster()
    with pytest.raises(Unreachable, match="does not answer"):
        await other.cluster()


async def test_an_edit_that_is_looked_at_closes_no_client_that_others_use(remote: Remote) -> None:
    """The KafkaConnection's own pass asks by the new spec while Consumers still ask by the accepted one."""
    status = {"accepted": {"generation": 1, "spec": SPEC}}
    edited = worlds.resource("KafkaConnection", "kafka", {**SPEC, "properties": {"client.rack": "b"}}, status=status)

    theirs = await remote.kafkas.open(edited)
    own = await remote.kafkas.open(kafkaconnection.in_force(edited))

    assert own is not theirs
    assert await remote.kafkas.open(edited) is theirs
    for used in (own, theirs):
        with pytest.raises(Unreachable, match="does not answer"):
            await used.cluster()


@pytest.mark.case("clusters-15")
async def test_a_login_goes_to_no_host_that_its_secret_does_not_allow(
    server: ApiServer, remote: Remote, clock: list[float]
) -> None:
    """Not even by a record of an accepted spec that is older than the annotation; its own pass opens nothing either."""
    resource = worlds.resource("KafkaConnection", "kafka", SPEC, status={"accepted": {"generation": 1, "spec": SPEC}})
    annotate = ("-n", "shop", "annotate", "--overwrite", "secret", "login")
    kubectl(server, *annotate, "headrace.dev/hosts=kafka:9092")
    with pytest.raises(Invalid, match=r"login may be sent to kafka:9092 only .* not to 127\.0\.0\.1:1"):
        await remote.kafkas.open(resource)
    refused = await observe.kafka_connection(resource, remote)
    kubectl(server, *annotate, "headrace.dev/hosts=127.0.0.1:1")
    clock[0] += SECRETS
    asked = await observe.kafka_connection(resource, remote)

    assert isinstance(refused.cluster, Unknown)
    assert "not accepted" in refused.cluster.reason
    assert worlds.condition(kafkaconnection.plan(refused, worlds.SETTINGS, datetime.now(UTC)), "Accepted")[
        "reason"
    ] == ("HostNotAllowed")
    assert isinstance(asked.cluster, Unknown)
    assert "127.0.0.1:1 does not answer" in asked.cluster.reason


@pytest.mark.case("clusters-15")
async def test_a_secret_of_a_workers_template_says_where_it_may_go(server: ApiServer, remote: Remote) -> None:
    """Also one that only the accepted spec names, as that may be in force."""
    template = {"envFrom": [{"secretRef": {"name": "login"}}]}
    spec = {"kafka": "kafka", "workers": {"template": template}}
    new = worlds.resource("ConnectCluster", "main", spec)
    edited = worlds.resource(
        "ConnectCluster", "main", worlds.CONNECT.spec, status={"accepted": {"generation": 1, "spec": spec}}
    )
    kubectl(server, "-n", "shop", "annotate", "secret", "login", "headrace.dev/hosts=kafka:9092")

    seen = [(await observe.connect_cluster(one, remote)).secrets["login"] for one in (new, edited)]

    assert [one.hosts for one in seen if isinstance(one, SecretSeen)] == [("kafka:9092",)] * 2
