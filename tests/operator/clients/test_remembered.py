"""What is remembered of objects in Kubernetes serves reads, until something newer is known or it is too old."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import pytest

from headrace_operator.clients.api import path
from headrace_operator.clients.errors import Conflict, HeadraceError
from headrace_operator.clients.kafka_connections import SECRETS, Kafkas
from headrace_operator.clients.kube import API_VERSION, VERSIONS, Kube
from headrace_operator.clients.remembered import OLDEST, Remembered
from headrace_operator.clients.remembering import Remembering
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.observed.value import Absent
from tests.operator import worlds

pytestmark = pytest.mark.case("clusters-2")

PLACE = path(API_VERSION, "ConnectCluster", "shop", "main")
ROLE = path(VERSIONS["Role"], "Role", "shop", "main-connect")


def cluster(version: str = "1", **spec: Any) -> dict[str, Any]:
    """Return a ConnectCluster as the API server gives it."""
    meta = {"name": "main", "namespace": "shop", "uid": "u", "resourceVersion": version, "managedFields": [{"a": 1}]}
    return {"apiVersion": API_VERSION, "kind": "ConnectCluster", "metadata": meta, "spec": spec}


class Server:
    """An API server that is a table; it counts reads, and refuses writes while it is ``refusing``."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.reads: Counter[str] = Counter()
        self.refusing = False

    async def get(self, where: str, **query: str) -> Mapping[str, Any] | None:
        self.reads[where] += 1
        await asyncio.sleep(0.1)
        return {"items": []} if query else self.objects.get(where)

    async def send(self, method: str, where: str, **given: Any) -> Mapping[str, Any]:
        if self.refusing:
            raise Conflict("Someone else wrote first.")
        about = where.removesuffix("/status")
        self.objects[about] = {**self.objects.get(about, {}), **(given["body"] if about == where else {})}
        return self.objects[about]


@pytest.fixture
def server() -> Server:
    made = Server()
    made.objects[PLACE] = cluster()
    return made


@pytest.fixture
def kube(server: Server, remembered: Remembered) -> Kube:
    return Kube(Remembering(cast(Any, server), remembered, live=True))


async def _spec(kube: Kube) -> Mapping[str, Any] | Absent:
    found = await kube.resource("ConnectCluster", "shop", "main")
    return found.spec if isinstance(found, Resource) else found


async def test_what_was_read_once_serves_until_it_is_old(server: Server, near: Kube, clock: list[float]) -> None:
    """A watch that died, or missed an end, is believed for a minute at the most."""
    for _ in range(5):
        assert await _spec(near) == {}
    assert server.reads[PLACE] == 1
    del server.objects[PLACE]
    assert await _spec(near) == {}
    clock[0] += OLDEST
    assert await _spec(near) == Absent()


async def test_what_a_watch_told_serves_at_once(server: Server, near: Kube, remembered: Remembered) -> None:
    remembered.put(PLACE, cluster("2", kafka="new"))
    assert await _spec(near) == {"kafka": "new"}
    assert not server.reads
    remembered.drop(PLACE)
    del server.objects[PLACE]
    assert await _spec(near) == Absent()


async def test_nothing_is_remembered_to_be_absent(server: Server, near: Kube) -> None:
    """What was made a moment later is seen by the next who looks."""
    made = server.objects.pop(PLACE)
    assert await _spec(near) == Absent()
    server.objects[PLACE] = made
    assert await _spec(near) == {}


async def test_a_live_read_is_live_and_tells_the_others(
    server: Server, near: Kube, kube: Kube, remembered: Remembered
) -> None:
    """Whatever is remembered, also of an object that is gone."""
    remembered.put(PLACE, cluster("0", kafka="old"))
    assert await _spec(kube) == {}
    assert await _spec(near) == {}
    del server.objects[PLACE]
    assert await _spec(kube) == Absent()
    assert await _spec(near) == Absent()


async def test_what_was_applied_is_seen_at_once_and_what_was_refused_is_read_anew(
    server: Server, near: Kube, kube: Kube
) -> None:
    """The role that gives workers a right; then somebody makes another one, of which nobody told."""
    rules = [{"resources": ["secrets"], "resourceNames": ["a"]}]
    role = {
        "apiVersion": VERSIONS["Role"],
        "kind": "Role",
        "metadata": {"namespace": "shop", "name": "main-connect"},
        "rules": rules,
    }
    await kube.apply(role)
    assert await near.readable_secrets("shop", "main-connect") == {"a"}
    assert server.reads[ROLE] == 0
    server.objects[ROLE] = {**role, "rules": []}
    server.refusing = True
    with pytest.raises(HeadraceError):
        await kube.apply(role)
    assert await near.readable_secrets("shop", "main-connect") == frozenset()


async def test_a_recorded_status_is_seen_by_those_that_refer_to_it(server: Server, near: Kube, kube: Kube) -> None:
    seen = await near.resource("ConnectCluster", "shop", "main")
    assert isinstance(seen, Resource)
    server.objects[PLACE]["status"] = {"accepted": {"generation": 1}}
    await kube.write_status(seen, {"accepted": {"generation": 1}})
    again = await near.resource("ConnectCluster", "shop", "main")

    assert isinstance(again, Resource)
    assert again.status == {"accepted": {"generation": 1}}


def secret(version: str, password: str) -> dict[str, Any]:
    """Return a Secret as the API server gives it, and as ``kubectl apply`` wrote it."""
    applied = {"kubectl.kubernetes.io/last-applied-configuration": password, "headrace.dev/hosts": "shop-db"}
    meta = {"name": "login", "namespace": "shop", "uid": "u", "resourceVersion": version, "annotations": applied}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"password": password}}


SECRET = path("v1", "Secret", "shop", "login")


@pytest.mark.case("clusters-10")
async def test_of_a_secret_it_is_remembered_which_one_it_is_and_no_value(
    server: Server, near: Kube, kube: Kube, remembered: Remembered
) -> None:
    server.objects[SECRET] = secret("1", "Y2FuYXJ5")
    for _ in range(5):
        assert await near.version("shop", "Secret", "login") == "u/1"
    seen = await near.secret("shop", "login")

    assert server.reads[SECRET] == 1
    assert "Y2FuYXJ5" not in str(remembered._objects)
    assert seen == SecretSeen(name="login", keys=frozenset({"password"}), hosts=("shop-db",))
    assert await kube.secret_values("shop", "login", "shop-db") == {"password": b"canary"}


@pytest.mark.case("clusters-10")
async def test_what_was_overtaken_by_a_newer_answer_is_not_remembered(
    server: Server, near: Kube, remembered: Remembered, clock: list[float]
) -> None:
    """Else pods would be replaced, replaced back, and once more."""
    remembered.put(SECRET, secret("10", "new"))
    remembered.put(SECRET, secret("9", "old"))
    assert await near.version("shop", "Secret", "login") == "u/10"
    clock[0] += OLDEST
    remembered.put(SECRET, secret("9", "old"))
    assert await near.version("shop", "Secret", "login") == "u/9"


@pytest.mark.case("clusters-10")
async def test_what_was_deleted_is_read_anew(server: Server, near: Kube, kube: Kube) -> None:
    where = path("v1", "ConfigMap", "shop", "old")
    server.objects[where] = {**cluster(), "kind": "ConfigMap", "data": {"a": "b"}}
    assert await near.config_map_keys("shop", "old") == frozenset({"a"})
    await kube.remove_child("ConfigMap", "shop", "old", "u")
    del server.objects[where]
    assert await near.config_map_keys("shop", "old") == Absent()


async def test_a_list_serves_those_that_ask_together(server: Server, near: Kube, kube: Kube) -> None:
    """Pods of workers, which each Connector looks for its own among."""
    pods = path("v1", "Pod", "shop")
    await asyncio.gather(*(near.children("shop", "", (), "headrace.dev/connect=main") for _ in range(20)))
    assert server.reads[pods] == 1
    await asyncio.gather(*(kube.children("shop", "", (), "headrace.dev/connect=main") for _ in range(2)))
    assert server.reads[pods] == 3


async def test_pods_are_asked_only_where_the_objects_do_not_suffice(server: Server, near: Kube) -> None:
    found = await near.children("shop", "main", ("Service",), "a=b", lambda children: not children.objects)
    assert found.pods == ()
    assert path("v1", "Pod", "shop") not in server.reads


def test_what_is_old_takes_no_memory(remembered: Remembered, clock: list[float]) -> None:
    for number in range(100):
        remembered.put(f"/{number}", cluster(str(number)))
    clock[0] += 2 * OLDEST
    remembered.put("/new", cluster())
    assert len(remembered._objects) == 1


class Logins:
    """An API server with one Secret, whose reads are counted."""

    def __init__(self) -> None:
        self.password, self.reads = b"first", 0

    async def secret_values(self, _: str, name: str, address: str) -> Mapping[str, bytes]:
        self.reads += 1
        await asyncio.sleep(0.05)
        return {"username": name.encode(), "password": self.password}


async def test_one_read_of_a_login_serves_all_that_log_in_by_it(clock: list[float]) -> None:
    """And a new password is used five seconds later."""
    spec = {
        "bootstrapServers": "127.0.0.1:1",
        "sasl": {"mechanism": "PLAIN", "credentials": {"secret": "login"}},
    }
    connection = worlds.resource("KafkaConnection", "kafka", spec, status={"accepted": {"generation": 1, "spec": spec}})
    logins = Logins()
    kafkas = Kafkas(cast(Any, logins), now=lambda: clock[0])
    first, *others = await asyncio.gather(*(kafkas.open(connection) for _ in range(20)))
    logins.password = b"second"
    same = await kafkas.open(connection)
    clock[0] += SECRETS
    later = await kafkas.open(connection)
    kafkas.close()

    assert {first, *others, same} == {first}
    assert later is not first
    assert logins.reads == 2


@pytest.mark.case("clusters-9")
def test_of_whose_fields_are_it_is_remembered_what_we_applied(remembered: Remembered) -> None:
    """Else what admission changed would be taken for somebody's edit."""
    ours = {"manager": "headrace", "operation": "Apply", "fieldsV1": {"f:spec": {}}}
    manifest = cluster()
    manifest["metadata"]["managedFields"] = [{"manager": "kubectl", "operation": "Update"}, ours]
    remembered.put(PLACE, manifest)

    assert remembered.get(PLACE) == {**manifest, "metadata": {**manifest["metadata"], "managedFields": [ours]}}


async def test_a_kind_is_told_as_far_as_it_is_remembered_and_listed_where_that_is_asked_live(
    server: Server, near: Kube, kube: Kube, remembered: Remembered, clock: list[float]
) -> None:
    """What is too old, or was dropped, is not among them."""
    kind = PLACE.rpartition("/")[0]
    assert await near.known("ConnectCluster", "shop") == ()
    remembered.put(PLACE, cluster())
    (found,) = await near.known("ConnectCluster", "shop")
    assert (found.name, server.reads) == ("main", Counter())
    remembered.drop(PLACE)
    assert await near.known("ConnectCluster", "shop") == ()
    remembered.put(PLACE, cluster("2"))
    clock[0] += 3 * OLDEST
    remembered.put(f"{kind}/other", cluster("3"))
    assert remembered.all_of(kind) == [remembered.get(f"{kind}/other")]

    server.objects[kind] = {"items": [cluster()]}
    assert [one.name for one in await kube.known("ConnectCluster", "shop")] == ["main"]
    assert server.reads[kind] == 1
