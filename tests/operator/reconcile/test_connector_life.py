"""The life of a Connector on a Kafka Connect that answers over HTTP: each pass observes, plans, records and acts.

Times are given; nothing waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from headrace_operator.clients.connect import Connect
from headrace_operator.clients.errors import HeadraceError
from headrace_operator.observed.kube import Children, PodSeen, Resource, SecretSeen
from headrace_operator.observed.value import Absent
from headrace_operator.plan import connectcluster, connector
from headrace_operator.plan.actions import Apply, Note, Plan
from headrace_operator.reconcile.execute import execute
from headrace_operator.reconcile.observe import connections as observe_connections
from headrace_operator.reconcile.observe import connector as observe_connector
from headrace_operator.reconcile.progress import Progress
from headrace_operator.reconcile.remote import Remote
from tests.fakes.connect import CLASS, Connector, FakeConnect, Task, fake_connect
from tests.operator import worlds
from tests.waiting import PATIENCE

NAME = "shop.orders-db"
PUT = f"PUT /connectors/{NAME}/config"
RESTART = f"POST /connectors/{NAME}/restart"
SECRET = "${secrets:shop/shop-db:password}"
TRACE = (Path(__file__).parents[1] / "plan/traces/ended.txt").read_text()


class EveryName(AbstractResolver):
    """Every name is the address of one server."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@dataclass
class Shelf(worlds.Place):
    """The objects that observers of Connectors ask Kubernetes for."""

    objects: dict[tuple[str, str], Resource]
    secrets: dict[str, SecretSeen]
    made: Children = field(default_factory=lambda: Children(objects={}))

    async def resource(self, kind: str, _: str, name: str) -> Resource | Absent:
        return self.objects.get((kind, name), Absent())

    async def resources(self, kind: str, _: str) -> tuple[Resource, ...]:
        return tuple(one for one in self.objects.values() if one.kind == kind)

    async def secret(self, _: str, name: str) -> SecretSeen | Absent:
        return self.secrets.get(name, Absent())

    async def children(self, *_: Any) -> Children:
        return self.made

    async def child(self, *_: Any) -> Absent:
        return Absent()

    async def readable_secrets(self, _: str, role: str) -> frozenset[str]:
        rules = self.made.objects.get(("Role", role), {}).get("rules", ())
        return frozenset(name for rule in rules for name in rule["resourceNames"])

    def put(self, resource: Resource) -> None:
        self.objects[resource.kind, resource.name] = resource


@dataclass
class Life:
    """One Connector, its ConnectCluster, and the time."""

    fake: FakeConnect
    remote: Remote
    shelf: Shelf
    progress: Progress = field(default_factory=Progress)
    now: datetime = worlds.NOW
    again: float = 0
    notes: list[Note] = field(default_factory=list)

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.shelf.objects["Connector", "orders-db"].status)

    def condition(self, kind: str) -> dict[str, Any]:
        return next(one for one in self.status["conditions"] if one["type"] == kind)

    def edit(self, **changes: Any) -> None:
        old = self.shelf.objects["Connector", "orders-db"]
        spec = {**old.spec, **changes}
        self.shelf.put(dataclasses.replace(old, spec=spec, generation=old.generation + 1))

    async def look(self, times: int = 1, *, every: float = 3, record_only: bool = False) -> list[str]:
        """Make passes over the Connector and return what they wrote to Connect."""
        before = len(self.fake.written())
        for _ in range(times):
            resource = self.shelf.objects["Connector", "orders-db"]
            world = await observe_connector.connector(resource, self.remote, self.progress, self.now)
            plan = connector.plan(world, worlds.SETTINGS, self.now)
            self.again = plan.look_again.total_seconds()
            await self._do(resource, dataclasses.replace(plan, actions=()) if record_only else plan)
            self.now += timedelta(seconds=every)
        return self.fake.written()[before:]

    async def look_at_workers(self, times: int = 2, *, every: float = 0, record_only: bool = False) -> list[str]:
        """Make passes over the ConnectCluster and return what they wrote to Connect; an action that fails ends one."""
        before = len(self.fake.written())
        for _ in range(times):
            resource = self.shelf.objects["ConnectCluster", "main"]
            world = await observe_connections.connect_cluster(resource, self.remote)
            plan = connectcluster.plan(world, worlds.SETTINGS, self.now)
            self.again, self.notes = plan.look_again.total_seconds(), [*self.notes, *plan.notes]
            with contextlib.suppress(HeadraceError):
                await self._do(resource, dataclasses.replace(plan, actions=()) if record_only else plan)
            self.now += timedelta(seconds=every)
        return self.fake.written()[before:]

    async def _do(self, resource: Resource, plan: Plan) -> None:
        self.shelf.put(dataclasses.replace(resource, status=plan.status))
        self.shelf.made = worlds.applied(self.shelf.made, plan.actions)
        for action in plan.actions:
            if not isinstance(action, Apply):
                await execute(action, self.remote)


@pytest.fixture
async def life(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    """The life of a Connector, whose Kafka Connect is waited for on any machine."""
    monkeypatch.setattr("headrace_operator.reconcile.execute.DEADLINE", PATIENCE)
    secret = SecretSeen(name="shop-db", keys=frozenset({"username", "password"}))
    resources = (worlds.KAFKA, worlds.CONNECT, worlds.CONNECTOR)
    shelf = Shelf(objects={(one.kind, one.name): one for one in resources}, secrets={"shop-db": secret})
    async with fake_connect() as fake:
        fake.secrets = {"shop/shop-db:username": "shop", "shop/shop-db:password": "canary"}
        fake.passwords = {"shop": "canary"}
        port = int(fake.url.rpartition(":")[2])
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=EveryName(port))) as session:
            connect = Connect(session, PATIENCE, metrics_port=port, kept=0)
            own, rest = {"kube": shelf, "near": shelf, "connect": connect}, ("kafkas", "entrances", "agents", "relays")
            made = Life(fake=fake, remote=Remote(**cast(Any, own | dict.fromkeys(rest))), shelf=shelf)
            await made.look_at_workers(1)
            yield made


async def test_a_connector_is_created_once_and_then_left_alone(life: Life) -> None:
    assert await life.look(5) == [PUT]

    assert life.condition("Ready")["status"] == "True"
    assert life.status["tasksReady"] == "1/1"
    assert life.status["tasks"] == [{"id": 0, "state": "RUNNING", "worker": "127.0.0.1:8083"}]
    assert life.status["offsets"][0]["partition"] == {"server": NAME}
    assert life.status["topics"] == [f"__debezium-heartbeat.{NAME}"]


async def test_an_edit_is_put_once(life: Life) -> None:
    await life.look(3)
    life.edit(config={"heartbeat.interval.ms": "2000"})

    assert await life.look(4) == [PUT]
    assert life.fake.connectors[NAME].config["heartbeat.interval.ms"] == "2000"
    assert life.condition("Ready")["status"] == "True"


async def test_what_someone_changed_on_connect_is_put_back(life: Life) -> None:
    await life.look(3)
    life.fake.connectors[NAME].config["heartbeat.interval.ms"] = "1"

    assert await life.look(3) == [PUT]
    assert life.fake.connectors[NAME].config["heartbeat.interval.ms"] == "10000"


async def test_a_connector_is_paused_stopped_and_resumed(life: Life) -> None:
    await life.look(3)
    seen = []
    for state in ("Paused", "Stopped", "Running"):
        life.edit(state=state)
        written = await life.look(4)
        seen.append((written, life.status["state"], life.status["tasksReady"], life.condition("Ready")["status"]))

    assert seen == [
        ([f"PUT /connectors/{NAME}/pause"], "PAUSED", "0/1", "True"),
        ([f"PUT /connectors/{NAME}/stop"], "STOPPED", "0/0", "True"),
        ([f"PUT /connectors/{NAME}/resume"], "RUNNING", "1/1", "True"),
    ]


@pytest.mark.parametrize("state", ["Paused", "Stopped"])
async def test_a_connector_that_is_not_wanted_running_never_runs(life: Life, state: str) -> None:
    life.edit(state=state)

    assert await life.look(4) == ["POST /connectors"]
    assert life.fake.connectors[NAME].state == state.upper()
    assert life.fake.connectors[NAME].offsets == []
    assert life.condition("Ready")["status"] == "True"


async def test_a_failed_task_is_restarted_with_back_off_until_it_runs(life: Life) -> None:
    life.edit(config={"publication.autocreate.mode": "disabled"})
    await life.look(2)
    begun, at = life.now, []
    while life.now < begun + timedelta(minutes=10):
        now = life.now
        if await life.look(every=1):
            at.append(round((now - begun).total_seconds()))
    error = life.status["tasks"][0]["error"]
    life.fake.publications.add(life.fake.connectors[NAME].config["publication.name"])
    restarted = await life.look(120, every=1)
    kept = life.status["restarts"]
    await life.look(2, every=200)

    assert [later - earlier for earlier, later in itertools.pairwise(at)] == [10, 20, 40, 80, 120, 120, 120]
    assert "Publication autocreation is disabled" in error
    assert restarted == [RESTART]
    assert kept["attempts"] == 9
    assert life.status.get("restarts") is None
    assert life.condition("Ready")["status"] == "True"


async def test_restarts_end_at_the_limit_and_begin_anew_with_an_edit(life: Life) -> None:
    life.edit(config={"publication.autocreate.mode": "disabled"}, restart={"maxAttempts": 2})
    await life.look(2)
    until_the_limit = await life.look(300, every=10)
    exhausted = life.condition("Running")
    life.edit(restart={"maxAttempts": 1})
    after_the_edit = await life.look(100, every=10)

    assert until_the_limit == [RESTART, RESTART]
    assert exhausted["reason"] == "RestartsExhausted"
    assert "then edit the Connector" in exhausted["message"]
    assert after_the_edit == [RESTART]


@pytest.mark.case("databases-1")
async def test_restarts_go_on_all_night_when_no_limit_is_set(life: Life) -> None:
    """Every passing failure goes through them: a database that was away so long is read again by itself."""
    life.edit(config={"publication.autocreate.mode": "disabled"})
    await life.look(2)
    meanwhile = await life.look(10 * 30, every=120)
    life.fake.publications.add(life.fake.connectors[NAME].config["publication.name"])
    mended = await life.look(2, every=120)
    await life.look(2, every=200)

    assert set(meanwhile) == {RESTART}
    assert mended == [RESTART]
    assert life.condition("Ready")["status"] == "True"


@pytest.mark.case("databases-1")
@pytest.mark.parametrize("meanwhile_looks", [98, 100, 104, 112])
async def test_a_task_that_only_seems_to_run_is_told_and_restarted_until_it_reads(
    life: Life, meanwhile_looks: int
) -> None:
    """Whoever starts it while its login is refused: it says that it runs, and never reads the Secret again.

    That is mended at any time: also just after a restart, before anybody asked.
    """
    await life.look(3)
    life.fake.passwords = {"shop": "of-tomorrow"}
    life.fake.start_tasks(NAME)
    before = await life.look(14, every=3)
    await life.look(2, every=3)
    told, ready, state = life.condition("Ready"), life.status["tasksReady"], life.status["tasks"][0]["state"]
    meanwhile = await life.look(meanwhile_looks, every=3)
    life.fake.secrets["shop/shop-db:password"] = "of-tomorrow"
    mended = await life.look(45, every=3)
    reads = life.fake.connectors[NAME].reads
    await life.look(90, every=3)

    assert (before, told["reason"]) == ([], "TaskFailed")
    assert (ready, state) == ("0/1", "FAILED"), "as alerts count it"
    assert "password authentication failed" in told["message"]
    assert set(meanwhile) == {RESTART}
    assert (mended[0], reads) == (RESTART, True)
    assert life.condition("Ready")["status"] == "True"


async def test_a_connector_whose_offsets_rest_is_asked_about_and_left_alone(life: Life) -> None:
    """Heartbeats may be off: offsets of a database that rests stand still, and all is well."""
    assert await life.look(200, every=3) == [PUT]
    asked = [one for one in life.fake.requests if "validate" in one]

    assert 12 <= len(asked) <= 15
    assert life.condition("Ready")["status"] == "True"


@pytest.mark.case("databases-2")
async def test_a_connector_is_ready_two_minutes_after_the_restart_that_helped(life: Life) -> None:
    await life.look(3)
    life.fake.fail(NAME, TRACE)
    await life.look(3, every=3)
    restarted = life.now
    ready = []
    while life.now < restarted + timedelta(minutes=3):
        await life.look(every=1)
        ready.append((life.condition("Ready")["status"], life.condition("Ready")["reason"]))
        if len(ready) == 30:
            message = life.condition("Running")["message"]

    well = ready.index(("True", "Ready"))
    assert set(ready[:well]) == {("False", "Recovering")}
    assert set(ready[well:]) == {("True", "Ready")}
    assert 118 <= well <= 122
    assert message.startswith("Restarted at 2026-01-02T03:04:20Z after a failure")
    assert "if none follows until 2026-01-02T03:06:20Z" in message
    assert "Database connection failed" in message


@pytest.mark.case("databases-2")
async def test_a_task_that_fails_some_seconds_after_each_start_is_never_ready(life: Life) -> None:
    """Nor after an edit that does not mend it."""
    await life.look(3)
    ready = []
    for second in range(900):
        one = life.fake.connectors[NAME]
        if second % 15 == 0:
            life.fake.fail(NAME, TRACE)
        if second == 600:
            life.edit(config={"poll.interval.ms": "100"})
        await life.look(every=1)
        ready.append(life.condition("Ready")["status"])
        assert one.tasks

    assert set(ready) == {"False"}


@pytest.mark.case("databases-2")
async def test_nothing_ticks_in_the_status_while_a_restart_is_watched(life: Life) -> None:
    await life.look(3)
    life.fake.fail(NAME, TRACE)
    await life.look(4, every=3)
    statuses = []
    for _ in range(20):
        await life.look(every=3)
        statuses.append(life.status)

    assert all(one == statuses[0] for one in statuses)


async def test_a_task_that_failed_is_not_restarted_while_its_connector_shall_not_run(life: Life) -> None:
    await life.look(3)
    life.fake.fail(NAME, TRACE)
    life.edit(state="Paused")

    assert await life.look(100, every=10) == [f"PUT /connectors/{NAME}/pause"]
    assert life.condition("Running")["reason"] == "Paused"
    assert life.status["tasks"][0]["state"] == "FAILED"


async def test_the_status_says_the_first_line_of_a_trace_and_its_root_cause(life: Life) -> None:
    await life.look(3)
    life.fake.fail(NAME, TRACE)
    await life.look()
    error = life.status["tasks"][0]["error"]

    assert error == (
        "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer. "
        "This connector will be stopped. (root cause: java.io.EOFException)"
    )
    assert "Database connection failed when reading from copy" in life.condition("Ready")["message"]


async def test_a_refused_edit_leaves_what_runs_until_it_is_mended(life: Life) -> None:
    await life.look(3)
    life.edit(config={"tasks.max": "zero"})
    refused = await life.look(3)
    sentence = life.condition("Accepted")["message"]
    running = life.condition("Running")["status"]
    life.fake.connectors[NAME].config["heartbeat.interval.ms"] = "1"
    healed = await life.look(2)
    life.edit(config={"tasks.max": "1", "heartbeat.interval.ms": "5"})

    assert refused == []
    assert "tasks.max: Invalid value for configuration tasks.max: Not a number of type INT" in sentence
    assert running == "True"
    assert healed == [PUT]
    assert await life.look(3) == [PUT]
    assert life.condition("Ready")["status"] == "True"


async def test_a_refused_edit_that_names_no_secret_does_not_hinder_what_runs(life: Life) -> None:
    await life.look(3)
    life.edit(config={"database.password": "letmein"}, postgres={"host": "x", "credentials": {"secret": "nobody"}})
    await life.look()

    assert life.condition("CredentialsCurrent")["status"] == "True"
    assert life.condition("Accepted")["status"] == "False"
    assert await life.look(3) == []


async def test_a_connect_that_hangs_is_said_and_forgets_no_figures(life: Life) -> None:
    await life.look(3)
    before = life.status["offsets"]
    life.fake.hanging, life.remote.connect._deadline = True, 0.3
    written, hanging = await life.look(), life.condition("Ready")
    life.fake.hanging, life.remote.connect._deadline = False, PATIENCE
    async with asyncio.timeout(PATIENCE):
        while life.condition("Ready")["status"] != "True":
            await life.look()
            await asyncio.sleep(0.2)

    assert written == []
    assert hanging["reason"] == "ConnectUnreachable"
    assert "did not answer within" in hanging["message"]
    assert life.status["offsets"] == before


@pytest.mark.case("clusters-4")
async def test_what_runs_as_wanted_is_read_from_a_list_and_nothing_is_written_on_its_word(life: Life) -> None:
    """A list of before an edit: what is then done rests on a live answer."""
    assert await life.look(3) == [PUT]
    life.remote = dataclasses.replace(life.remote, connect=Connect(life.remote.connect._session, PATIENCE, kept=3600))
    life.fake.requests.clear()
    at_rest = await life.look(3) or list(life.fake.requests)
    life.edit(state="Paused")
    paused = await life.look()
    life.edit(state="Running", config={"heartbeat.interval.ms": "2000"})
    resumed = await life.look(2)

    assert [one for one in at_rest if "/offsets" not in one and "/topics" not in one] == ["GET /connectors"]
    assert paused == [f"PUT /connectors/{NAME}/pause"]
    assert resumed == [PUT, f"PUT /connectors/{NAME}/resume"]
    assert life.fake.requests.count("GET /connectors") == 3
    assert life.fake.requests.count(f"GET /connectors/{NAME}/config") == 2


async def test_a_connect_that_rebalances_is_waited_for(life: Life) -> None:
    await life.look(3)
    life.edit(config={"heartbeat.interval.ms": "2000"})
    life.fake.rebalancing = (409, "Cannot complete request momentarily due to stale configuration")
    meanwhile = await life.look(3)
    life.fake.rebalancing = None

    assert meanwhile == []
    assert await life.look(3) == [PUT]


async def test_a_connector_whose_resource_is_gone_is_removed_and_others_are_never_touched(life: Life) -> None:
    theirs = {"connector.class": CLASS, "name": "theirs", "topic.prefix": "t"}
    life.fake.connectors["theirs"] = Connector(config=dict(theirs), tasks=[Task(state="FAILED", trace="x")])
    await life.look(3)
    kept = await life.look_at_workers()
    del life.shelf.objects["Connector", "orders-db"]

    assert kept == []
    assert (await life.look_at_workers(4))[-1] == f"DELETE /connectors/{NAME}"
    assert list(life.fake.connectors) == ["theirs"]
    assert life.fake.connectors["theirs"].config == theirs
    assert not [one for one in life.fake.written() if "theirs" in one]
    assert life.shelf.objects["ConnectCluster", "main"].status["unmanagedConnectors"] == ["theirs"]


async def test_a_connector_of_this_name_that_someone_else_made_is_left_alone(life: Life) -> None:
    theirs = {"connector.class": CLASS, "name": NAME, "topic.prefix": "t"}
    life.fake.connectors[NAME] = Connector(config=dict(theirs), tasks=[Task(state="FAILED", trace="x")])
    written = await life.look(20, every=60) + await life.look_at_workers()
    taken = life.condition("Ready")
    del life.fake.connectors[NAME]

    assert written == []
    assert taken["reason"] == "NameTaken"
    assert await life.look(3) == [PUT]


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize(
    "wrong",
    [
        {"config": {"tasks.max": SECRET}},
        {"config": {"transforms": "secret", "transforms.secret.type": SECRET}},
        {"config": {"value.converter.password": SECRET}},
        {"config": {"database.hostname": f"x.{SECRET}"}},
        {
            "postgres": {
                "host": "h",
                "database": "${other:password}",
                "credentials": {"secret": "shop-db"},
            }
        },
    ],
)
async def test_only_credentials_may_name_a_secret(life: Life, wrong: dict[str, Any]) -> None:
    """Connect quotes the values of other properties, and the database the name of the database."""
    life.edit(**wrong)

    assert await life.look(2) == []
    assert life.condition("Accepted")["reason"] == "PasswordInConfig"
    assert any(words in life.condition("Accepted")["message"] for words in ("would show", "would be shown"))
    assert "canary" not in str(life.status["conditions"])


async def test_a_password_that_the_database_refuses_is_in_no_status(life: Life) -> None:
    life.fake.passwords = {"shop": "another"}

    assert await life.look(2) == []
    assert "password authentication failed" in life.condition("Ready")["message"]
    assert "canary" not in str(life.status)


POD = PodSeen(
    name="main-connect-1", phase="Running", ready=True, restarts=0, waiting_reason=None, message=None, ip="127.0.0.1"
)
PAGE = """# TYPE headrace_debezium_source_lag_seconds gauge
headrace_debezium_source_lag_seconds{connector="other",plugin="postgres",resource_namespace="shop"} 99.0
headrace_debezium_source_lag_seconds{connector="orders-db",plugin="postgres",resource_namespace="shop"} 2.6
"""


async def test_the_lag_is_asked_of_our_own_workers_only(life: Life) -> None:
    """Whatever address Connect says that a task runs at: a pod of ours has it, or nobody is asked."""
    life.fake.metrics = PAGE
    await life.look(3)
    unasked = "GET /metrics" not in life.fake.requests
    life.shelf.made = dataclasses.replace(life.shelf.made, pods=(POD,))
    await life.look(2)

    assert unasked
    assert life.status["lagSeconds"] == 3
    for page in ("", PAGE.replace("2.6", "odd")):
        life.fake.metrics = page
        await life.look(1)
        assert "lagSeconds" not in life.status


async def test_connect_is_not_asked_before_the_secret_is_there(life: Life) -> None:
    secret = life.shelf.secrets.pop("shop-db")
    before = await life.look(2)
    asked = [one for one in life.fake.requests if "validate" in one]
    message = life.condition("Ready")["message"]
    life.shelf.secrets["shop-db"] = secret

    assert (before, asked) == ([], [])
    assert message == "Secret shop-db does not exist in this namespace: create it."
    assert await life.look(3) == [PUT]


async def test_connect_is_not_asked_before_the_secret_has_its_keys(life: Life) -> None:
    """It said that the database refuses the password, of which there was none."""
    secret = life.shelf.secrets["shop-db"]
    life.shelf.secrets["shop-db"] = SecretSeen(name="shop-db", keys=frozenset({"username"}))
    before = await life.look(2)
    ready = life.condition("Ready")
    life.shelf.secrets["shop-db"] = secret

    assert (before, ready["reason"]) == ([], "SecretKeyMissing")
    assert ready["message"].startswith("Secret shop-db has no key password: add it")
    assert await life.look(3) == [PUT]


async def test_connect_is_not_asked_before_the_workers_may_read_the_secret(life: Life) -> None:
    """A Connector is looked at before its ConnectCluster's pass has given the right: nothing fails in between."""
    life.shelf.made = Children(objects={})
    before = await life.look(2)
    asked = [one for one in life.fake.requests if "validate" in one]
    running, kinds = life.condition("Running"), {one["type"] for one in life.status["conditions"]}
    again = life.again
    await life.look_at_workers()

    assert (before, asked, again) == ([], [], 1)
    assert (running["status"], running["reason"]) == ("False", "Starting")
    assert running["message"].startswith("The workers may not read Secret shop-db yet")
    assert "Stalled" not in kinds
    assert life.condition("Accepted")["status"] == "True"
    assert await life.look(3) == [PUT]
    assert life.again > 1


async def test_another_secret_is_awaited_while_the_connector_runs_on(life: Life) -> None:
    await life.look(3)
    life.shelf.secrets["other"] = SecretSeen(name="other", keys=frozenset({"username", "password"}))
    life.fake.secrets |= {"shop/other:username": "shop", "shop/other:password": "canary"}
    life.edit(postgres={**worlds.CONNECTOR.spec["postgres"], "credentials": {"secret": "other"}})
    before = await life.look(2)
    waiting, accepted = life.condition("Ready"), life.status["accepted"]["generation"]
    await life.look_at_workers()

    assert before == []
    assert (waiting["status"], waiting["reason"], accepted) == ("False", "Applying", 1)
    assert "may not read Secret other yet" in waiting["message"]
    assert await life.look(3) == [PUT]
    assert life.condition("Ready")["status"] == "True"
