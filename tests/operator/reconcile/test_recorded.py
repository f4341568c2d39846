"""What is recorded, at a real API server: the whole status and nothing else, and never more than its schema takes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from headrace_operator.api import crd
from headrace_operator.api.crd import MOST_ITEMS
from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.errors import HeadraceError
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent
from headrace_operator.plan.actions import Plan
from headrace_operator.reconcile import loop as loops_of
from headrace_operator.reconcile.turns import Key
from tests.cluster.client import refusal
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.operator_process import read
from tests.waiting import until

pytestmark = pytest.mark.apiserver


def _made(server: ApiServer, name: str) -> Key:
    server.client.create(_body("Connector", name, worlds.CONNECTOR.spec))
    return Key("Connector", "default", name)


def _body(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": dict(spec)}


@pytest.mark.parametrize(
    "strange",
    [
        {"clusterId": "mine"},
        {"accepted": {"spec": {"properties": {"client.rack": "a"}}}},
        {"conditions": [{"type": "Strange", "status": "True"}]},
    ],
)
async def test_what_somebody_else_wrote_into_a_status_is_gone_with_the_next_pass(
    server: ApiServer, strange: dict[str, Any]
) -> None:
    """Else each pass wrote it anew, for ever, and the accepted spec was one that nobody had written."""
    name, spec = f"strange-{next(iter(strange)).lower()}", {"bootstrapServers": "127.0.0.1:1"}
    server.client.create(_body("KafkaConnection", name, spec))
    async with loops.looping(server) as loop:
        await loops.look(loop, Key("KafkaConnection", "default", name))
        before = _said(server, name)
        server.client.patch("hrkafka", name, {"status": strange}, part="status")
        assert _said(server, name) != before
        await loops.look(loop, Key("KafkaConnection", "default", name))

    assert _said(server, name) == before


def _said(server: ApiServer, name: str) -> dict[str, Any]:
    """Return a status without times and sentences."""
    status: dict[str, Any] = read(server, "kafkaconnections.headrace.dev", name, "default")["status"]
    return status | {"conditions": [(one["type"], one["status"], one.get("reason")) for one in status["conditions"]]}


@dataclass(frozen=True)
class Behind:
    """A client that remembers of one kind what is over."""

    kube: Kube
    over: Resource

    async def resource(self, kind: str, namespace: str, name: str) -> Resource | Absent:
        """Return what is remembered."""
        return self.over if kind == self.over.kind else await self.kube.resource(kind, namespace, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kube, name)


@pytest.mark.case("clusters-2")
@pytest.mark.parametrize("kind", ["Connector", "Consumer"])
async def test_what_is_over_is_not_written_again(server: ApiServer, kind: str) -> None:
    """A watch is behind: by what it told last there is a status to write and Events to post, by what is there none."""
    name, spec = f"behind-{kind.lower()}", {"Connector": worlds.CONNECTOR, "Consumer": worlds.CONSUMER}[kind].spec
    server.client.create(_body(kind, name, spec))
    key, plural = Key(kind, "default", name), f"{kind.lower()}s.headrace.dev"
    async with loops.looping(server) as loop:
        over = await loop.remote.kube.resource(kind, key.namespace, name)
        assert isinstance(over, Resource)
        behind = loops.with_remote(loop, near=Behind(loop.remote.kube, over))
        await loops.look(behind, key)
        first = read(server, plural, name, "default")
        server.client.patch(plural, name, {"metadata": {"labels": {"headrace.dev/pipeline": "orders"}}})
        await loops.look(loop, key, 2)
        before, told = read(server, plural, name, "default"), _events(server, name)
        await loops.look(behind, key)
        after = read(server, plural, name, "default")

    assert first["status"]["conditions"]
    assert after == before
    assert _events(server, name) == told


def _events(server: ApiServer, name: str) -> list[str]:
    found = server.client.list("events", "default")
    return sorted(one["metadata"]["name"] for one in found if one["involvedObject"]["name"] == name)


async def test_a_namesake_gets_no_status_of_the_one_before_it(server: ApiServer) -> None:
    key = _made(server, "namesake")
    async with loops.looping(server) as loop:
        gone = await loop.remote.kube.resource(key.kind, key.namespace, key.name)
        server.client.delete("hrconn", key.name, "default")
        _made(server, "namesake")
        assert isinstance(gone, Resource)
        with pytest.raises(HeadraceError):
            await loop.remote.kube.write_status(gone, {"observedGeneration": 1})

    assert read(server, "connectors.headrace.dev", key.name, "default")["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(
    ("field", "items"),
    [
        ("topics", [f"shop.orders-db.public.t{number}" for number in range(MOST_ITEMS + 1)]),
        ("offsets", [{"lsn": number} for number in range(2 * MOST_ITEMS)]),
    ],
)
async def test_a_list_beyond_its_bound_is_cut_and_recorded(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, field: str, items: list[Any]
) -> None:
    """With 500 tables a Connector writes to 501 topics: its status was refused, and nothing was done for it."""
    key = _made(server, f"long-{field}")

    async def planned(resource: Resource, *_: Any) -> tuple[Plan, None]:
        status = {"observedGeneration": resource.generation, "conditions": [], field: items}
        return Plan(actions=(), status=status, notes=()), None

    monkeypatch.setattr(loops_of, "planned", planned)
    async with loops.looping(server) as loop:
        await loops.look(loop, key)

    assert read(server, "connectors.headrace.dev", key.name, "default")["status"][field] == items[:MOST_ITEMS]


@contextmanager
def _older(server: ApiServer, kind: str, field: str, name: str, value: Any) -> Iterator[None]:
    """Let the definition of a kind lack a field of its status for a while."""
    (latest,) = [one for one in crd.manifests() if one["spec"]["names"]["kind"] == kind]
    older = copy.deepcopy(latest)
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["status"]["properties"][field]

    def is_unknown() -> bool:
        """Ask as kubectl does, which is refused where others lose what they wrote."""
        write = partial(server.client.patch, kind, name, {"status": {field: value}}, part="status")
        return "unknown field" in refusal(write)

    try:
        server.client.apply(older)
        until(f"a definition without {field}", is_unknown)
        yield
    finally:
        server.client.apply(latest)
        until(f"a definition with {field}", lambda: not is_unknown())


def _read(server: ApiServer, kind: str, name: str) -> dict[str, Any]:
    return read(server, f"{kind.lower()}s.headrace.dev", name, "default")


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize(
    ("kind", "spec", "field", "value"),
    [
        ("KafkaConnection", {"bootstrapServers": "127.0.0.1:1"}, "accepted", {"generation": 1, "spec": {}}),
        ("Consumer", worlds.CONSUMER.spec, "group", "mine"),
    ],
)
async def test_what_older_definitions_drop_of_a_status_is_not_written_in_each_pass(
    server: ApiServer, kind: str, spec: Mapping[str, Any], field: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator may be upgraded before its definitions: it compares with what the API server kept."""
    name, written, write = f"older-{field.lower()}", list[str](), Kube.write_status

    async def counted(kube: Kube, seen: Resource, status: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = await write(kube, seen, status)
        written.append(seen.name)
        return kept

    monkeypatch.setattr(Kube, "write_status", counted)
    server.client.create(_body(kind, name, spec))
    with _older(server, kind, field, name, value):
        async with loops.looping(server) as loop:
            await loops.look(loop, Key(kind, "default", name), 4)
            assert field not in _read(server, kind, name)["status"]

    assert written == [name]
    server.client.delete(kind, name)
