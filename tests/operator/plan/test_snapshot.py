"""What a Snapshot asks of its connector, what it waits for, what refuses it, and how far it says that it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from headrace_operator.observed.snapshots import Notification, TopicsOfSnapshots
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import SnapshotWorld
from headrace_operator.plan import snapshot
from headrace_operator.plan.actions import Plan, SendSignal
from tests.fakes import agent
from tests.operator import snapshot_worlds, worlds
from tests.operator.plan import statuses
from tests.operator.snapshot_worlds import listening, notification

pytestmark = pytest.mark.case("databases-5")

SPEC = worlds.SNAPSHOT.spec
TABLE = "public.outbox"
BLOCKING = {**SPEC, "type": "Blocking"}
EXECUTED = frozenset({("headrace-uid-earlier", "execute-snapshot")})
SILENT = Unknown(reason="Kafka does not answer.")
READ: dict[str, Any] = {"scanned_collection": TABLE, "status": "SUCCEEDED", "total_rows_scanned": "12"}


def after(seconds: float, world: SnapshotWorld, **changes: Any) -> Plan:
    """Return the plan of a pass so many seconds after `worlds.NOW`."""
    now = worlds.NOW + timedelta(seconds=seconds)
    return snapshot.plan(dataclasses.replace(world, **changes), worlds.SETTINGS, now)


def sent(plan: Plan) -> list[dict[str, Any]]:
    """Return the signals that a plan sends."""
    return [json.loads(one.value) for one in plan.actions if isinstance(one, SendSignal)]


def said(plan: Plan, kind: str = "Completed") -> tuple[str, str]:
    """Return status and reason of a condition."""
    found = worlds.condition(plan, kind)
    return found["status"], found["reason"]


def asked(spec: Mapping[str, Any] = SPEC, **changes: Any) -> SnapshotWorld:
    """Return the world after its connector was asked for it."""
    world = statuses.changed(snapshot_worlds.world(**changes), spec=spec)
    topics = TopicsOfSnapshots(signals_end=4, notifications_end=5, signals=EXECUTED, read=5)
    made: SnapshotWorld = worlds.with_status(world, statuses.planned(world).status)
    return dataclasses.replace(made, topics=topics)


def told(world: SnapshotWorld, *events: Notification, **changes: Any) -> SnapshotWorld:
    """Return the world after its connector told that."""
    assert isinstance(world.topics, TopicsOfSnapshots)
    topics = dataclasses.replace(world.topics, notifications=events, read=world.topics.read + len(events))
    seen = dataclasses.replace(world, topics=topics, **changes)
    without = dataclasses.replace(topics, notifications=())
    return dataclasses.replace(worlds.with_status(seen, statuses.planned(seen).status), topics=without)


def test_it_asks_once_with_its_own_id_and_records_that_first() -> None:
    plan = statuses.planned(snapshot_worlds.world())
    again = statuses.planned(asked())

    (action,) = plan.actions
    assert isinstance(action, SendSignal)
    assert (action.topic, action.key) == ("shop.orders-db.signals", "shop.orders-db")
    data = {"type": "incremental", "data-collections": [TABLE]}
    assert sent(plan) == [{"id": "headrace-uid-earlier", "type": "execute-snapshot", "data": data}]
    assert (plan.status["phase"], plan.status["signal"]["offset"], plan.status["heard"]["next"]) == (
        "Requested",
        3,
        5,
    )
    assert again.actions == ()


@pytest.mark.parametrize(
    ("spec", "collections", "conditions"),
    [
        (SPEC, [TABLE], None),
        ({**SPEC, "filter": [{"table": TABLE, "where": "id > 3 OR x"}]}, [TABLE], "(id > 3 OR x)"),
        (
            {**BLOCKING, "filter": [{"table": TABLE, "where": "id > 3"}]},
            [TABLE],
            "SELECT * FROM public.outbox WHERE (id > 3)",
        ),
    ],
)
def test_a_filter_is_a_condition_or_where_changes_wait_a_whole_statement(
    spec: Any, collections: list[str], conditions: str | None
) -> None:
    (signal,) = sent(statuses.planned(statuses.changed(snapshot_worlds.world(), spec=spec)))

    assert signal["data"]["data-collections"] == collections
    found = [one["filter"] for one in signal["data"].get("additional-conditions", ())]
    assert found == ([] if conditions is None else [conditions])


@pytest.mark.parametrize(
    ("table", "pattern"),
    [("public.Order Items", "public.Order Items"), ("a.b.c", r"a\.b\.c"), ("public.t$1", r"public\.t\$1")],
)
def test_a_table_stands_as_a_pattern_only_where_its_name_would_be_misread(table: str, pattern: str) -> None:
    connector = listening(accepted={"generation": 1, "spec": {**worlds.CONNECTOR.spec, "capture": {"tables": [table]}}})
    world = snapshot_worlds.world(connector=connector)
    spec = {**SPEC, "tables": [table, table]}

    assert sent(statuses.planned(statuses.changed(world, spec=spec)))[0]["data"]["data-collections"] == [pattern]
    filtered = {**spec, "type": "Blocking", "filter": [{"table": table, "where": "true"}]}
    refused = statuses.planned(statuses.changed(world, spec=filtered))
    assert bool(refused.actions) == (table == pattern)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"connector": Absent()}, "ConnectorNotFound"),
        ({"connector": listening(accepted=None)}, "ConnectorNotReady"),
        ({"connector": listening(snapshotTaken=None)}, "ConnectorNotReady"),
        ({"connector": listening(signals=None)}, "ConnectorNotReady"),
        ({"connector": listening(conditions=[])}, "ConnectorNotReady"),
        ({"connector": SILENT}, "Unknown"),
        ({"connector": listening(snapshot="headrace-of-one-that-is-gone")}, "OtherSnapshotRuns"),
        ({"others": SILENT}, "Unknown"),
        ({"topics": SILENT}, "Unknown"),
    ],
)
def test_it_waits_and_sends_nothing(changes: Any, reason: str) -> None:
    plan = statuses.planned(snapshot_worlds.world(**changes))

    assert plan.actions == ()
    assert (plan.status["phase"], said(plan)[1], said(plan, "Accepted")[0]) == ("Pending", reason, "True")
    assert said(plan)[0] == ("Unknown" if reason == "Unknown" else "False")


def test_one_that_is_paused_before_it_begins_begins_once_it_is_not() -> None:
    world = statuses.changed(snapshot_worlds.world(), spec={**SPEC, "paused": True})

    assert said(statuses.planned(world)) == ("False", "Paused")
    assert statuses.planned(world).actions == ()
    assert sent(statuses.planned(statuses.changed(world, spec={**SPEC, "paused": False})))


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        ({"created": "1", "status": {"phase": "Pending"}}, True),
        ({"created": "1", "status": {}}, True),
        ({"created": "3", "status": {"phase": "Running"}}, True),
        ({"created": "3", "status": {"phase": "Pending"}}, False),
        ({"created": "1", "status": {"phase": "Completed"}}, False),
        ({"created": "1", "status": {"phase": "Failed"}}, False),
        ({"created": "1", "deleting": True}, False),
        ({"created": "1", "spec": {**SPEC, "connector": "others"}}, False),
        ({"created": "1", "spec": {**SPEC, "paused": True}}, False),
        ({"created": "1", "status": {"conditions": [{"type": "Accepted", "status": "False"}]}}, False),
    ],
)
def test_a_connector_takes_one_at_a_time_the_first_that_was_made(other: dict[str, Any], waits: bool) -> None:
    own = dataclasses.replace(worlds.SNAPSHOT, created="2")
    beside = worlds.resource("Snapshot", "other", other.pop("spec", SPEC), **other)
    plan = statuses.planned(snapshot_worlds.world(resource=own, others=(own, beside)))

    assert said(plan)[1] == ("OtherSnapshotRuns" if waits else "SnapshotRequested")
    assert bool(plan.actions) == (not waits)


CONFIGS: tuple[tuple[dict[str, str], str], ...] = (
    ({"signal.kafka.topic": "mine"}, "SignalsElsewhere"),
    ({"signal.consumer.max.poll.records": "1"}, "SignalsElsewhere"),
    ({"notification.enabled.channels": "log"}, "SignalsElsewhere"),
    ({"value.converter": "io.confluent.connect.avro.AvroConverter"}, "SignalsElsewhere"),
    ({"read.only": "false"}, "SignalsElsewhere"),
)


@pytest.mark.parametrize(("config", "reason"), CONFIGS)
def test_what_the_user_set_otherwise_is_told_and_nothing_is_sent(config: dict[str, str], reason: str) -> None:
    spec = {**worlds.CONNECTOR.spec, "config": config}
    plan = statuses.planned(snapshot_worlds.world(connector=listening(accepted={"generation": 1, "spec": spec})))

    assert said(plan, "Accepted") == ("False", reason)
    assert next(iter(config)) in worlds.condition(plan, "Accepted")["message"]
    assert (plan.actions, plan.status["phase"]) == ((), "Pending")
    assert said(plan, "Stalled")[0] == "True"


@pytest.mark.parametrize(
    ("tables", "server", "kind", "reason"),
    [
        ({TABLE: None}, {}, "Incremental", "TableMissing"),
        ({TABLE: {"primary_key": ()}}, {}, "Incremental", "TableWithoutKey"),
        ({TABLE: {"primary_key": ()}}, {}, "Blocking", "Accepted"),
        ({TABLE: {}}, {"version": "12.3", "version_number": 120003}, "Incremental", "InvalidSpec"),
        ({TABLE: {}}, {"version": "12.3", "version_number": 120003}, "Blocking", "Accepted"),
        ({TABLE: {}, "public.other": None}, {}, "Incremental", "Accepted"),
    ],
)
def test_what_the_agent_sees_of_tables_is_told_before_anything_is_sent(
    tables: Any, server: Any, kind: str, reason: str
) -> None:
    source = agent.source(tables=tables, server=agent.seen({**agent.SERVER, **server}))
    world = statuses.changed(snapshot_worlds.world(source=source), spec={**SPEC, "type": kind})
    plan = statuses.planned(world)

    assert said(plan, "Accepted")[1] == reason
    assert bool(plan.actions) == (reason == "Accepted")


def test_a_table_that_is_not_captured_is_refused_until_it_is() -> None:
    world = statuses.changed(snapshot_worlds.world(), spec={**SPEC, "tables": [TABLE, "public.nothing"]})
    plan = statuses.planned(world)

    assert said(plan, "Accepted") == ("False", "TableNotCaptured")
    assert "public.nothing" in worlds.condition(plan, "Accepted")["message"]
    assert plan.actions == ()
    both = {**worlds.CONNECTOR.spec, "capture": {"tables": [TABLE, "public.nothing"]}}
    widened = dataclasses.replace(world, connector=listening(accepted={"generation": 2, "spec": both}))
    assert sent(statuses.planned(worlds.with_status(widened, plan.status)))


def test_each_phase_follows_what_is_told() -> None:
    begun = told(asked(), notification("STARTED"))
    assert begun.resource.status["phase"] == "Running"
    read = told(begun, notification("IN_PROGRESS", 1), notification("TABLE_SCAN_COMPLETED", 2, **READ))
    assert (read.resource.status["tablesDone"], read.resource.status["rows"]) == ("1/1", 12)
    done = told(read, notification("COMPLETED", 3)).resource.status

    assert (done["phase"], done["startedAt"][-3:], done["completedAt"][-3:]) == ("Completed", "05Z", "08Z")
    assert done["heard"]["next"] == 9
    ready = next(one for one in done["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "SnapshotCompleted")


def test_what_is_told_of_others_is_not_taken() -> None:
    other = dataclasses.replace(notification("COMPLETED"), id="somebody-elses")
    first = notification("COMPLETED", about="Initial Snapshot")

    assert told(asked(), other, first).resource.status["phase"] == "Requested"


@pytest.mark.parametrize(
    ("events", "reason", "words"),
    [
        ([notification("ABORTED")], "SnapshotStopped", "ABORTED"),
        (
            [notification("TABLE_SCAN_COMPLETED", **{**READ, "status": "SQL_EXCEPTION"}), notification("COMPLETED")],
            "TableNotRead",
            "public.outbox SQL_EXCEPTION",
        ),
    ],
)
def test_one_that_fails_says_so_in_debeziums_words_and_is_over(events: Any, reason: str, words: str) -> None:
    failed = told(asked(), notification("STARTED"), *events)
    plan = statuses.planned(failed)

    assert (failed.resource.status["phase"], said(plan)) == ("Failed", ("False", reason))
    assert words in worlds.condition(plan, "Completed")["message"]
    assert said(plan, "Stalled") == ("True", reason)
    assert (plan.actions, plan.notes) == ((), ())
    assert snapshot.is_over(failed.resource)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([notification("TABLE_SCAN_COMPLETED", **{**READ, "status": "UNKNOWN_SCHEMA"})], "it was dropped"),
        ([], "nothing was told of public.outbox"),
    ],
)
def test_a_captured_table_that_was_strange_is_asked_for_once_more(events: Any, words: str) -> None:
    """As where its task ran the configuration of before for another moment; the second time it fails."""
    events = [notification("STARTED"), *events, notification("COMPLETED")]
    strange = told(asked(), *events)
    unsent = dataclasses.replace(strange, topics=TopicsOfSnapshots(signals_end=4, notifications_end=8, read=8))
    again = after(30, unsent)
    sent_again = dataclasses.replace(worlds.with_status(unsent, again.status), topics=asked().topics)
    failed = told(sent_again, *events)

    assert (strange.resource.status["phase"], strange.resource.status["signal"]["offset"]) == ("Requested", 4)
    assert not sent(after(29, unsent))
    assert [one["data"]["data-collections"] for one in sent(again)] == [[TABLE]]
    assert failed.resource.status["phase"] == "Failed"
    assert words in worlds.condition(statuses.planned(failed), "Completed")["message"]


def test_only_what_was_strange_is_asked_for_once_more() -> None:
    """What was read stays so, and a filter of it is not told; one that is captured no more is not asked for."""
    spec, connector = (
        snapshot_worlds.SPECS[0] | {"type": "Incremental"},
        listening(accepted={"generation": 1, "spec": snapshot_worlds.ROWS}),
    )
    strange = notification("TABLE_SCAN_COMPLETED", scanned_collection="public.outboxx", status="UNKNOWN_SCHEMA")
    events = [notification("STARTED"), notification("TABLE_SCAN_COMPLETED", **READ), strange, notification("COMPLETED")]
    half = told(asked(spec, connector=connector), *events)
    unsent = dataclasses.replace(half, topics=TopicsOfSnapshots(signals_end=4, notifications_end=9, read=9))
    (again,) = sent(after(30, unsent))
    elsewhere = told(asked(spec, connector=connector), *events, connector=listening())

    assert [one["name"] for one in half.resource.status["tables"]] == [TABLE]
    assert again["data"] == {"type": "incremental", "data-collections": ["public.outboxx"]}
    assert elsewhere.resource.status["phase"] == "Failed"


@pytest.mark.parametrize(
    ("events", "phase"),
    [
        (["SKIPPED"], "Requested"),
        (["STARTED"], "Running"),
        (["STARTED", "SKIPPED"], "Failed"),
        (["STARTED", "ABORTED"], "Failed"),
        (["STARTED", "TABLE_SCAN_COMPLETED", "COMPLETED"], "Completed"),
        (["COMPLETED"], "Requested"),
    ],
)
def test_a_blocking_one_is_the_next_that_begins(events: list[str], phase: str) -> None:
    made = [notification(one, about="Initial Snapshot", **READ) for one in events]

    assert told(asked(BLOCKING), *made).resource.status["phase"] == phase


def test_it_is_asked_to_rest_and_to_go_on_and_again_where_nothing_comes_of_it() -> None:
    running = told(asked(), notification("STARTED"))
    shall_rest = statuses.changed(running, spec={**SPEC, "paused": True}, generation=2)
    first = after(10, shall_rest)
    waiting = worlds.with_status(shall_rest, first.status)

    assert [one["type"] for one in sent(first)] == ["pause-snapshot"]
    assert sent(after(20, waiting)) == []
    assert [one["type"] for one in sent(after(41, waiting))] == ["pause-snapshot"]
    rests = told(waiting, notification("PAUSED", 12), notification("IN_PROGRESS", 13))
    assert (rests.resource.status["phase"], sent(after(60, rests))) == ("Paused", [])
    forgets = told(rests, notification("IN_PROGRESS", 60))
    assert [one["type"] for one in sent(after(61, forgets))] == ["pause-snapshot"]
    soon = after(21, statuses.changed(rests, spec=SPEC, generation=3))
    assert sent(soon) == []
    goes_on = after(70, statuses.changed(rests, spec=SPEC, generation=3))
    assert [one["type"] for one in sent(goes_on)] == ["resume-snapshot"]


@pytest.mark.parametrize(("signals", "again"), [(frozenset(), True), (EXECUTED, False), (None, False)])
def test_what_was_recorded_and_not_sent_is_sent(signals: Any, again: bool) -> None:
    """As when the operator ends between the two; what was not read whole says nothing.

    What was sent and not acknowledged may still be on its way, and would be read twice if it were there twice.
    """
    topics = TopicsOfSnapshots(signals_end=3, notifications_end=5, signals=signals, read=5)
    early, late = after(29, asked(), topics=topics), after(30, asked(), topics=topics)
    since = worlds.with_status(asked(), late.status)

    assert (bool(sent(early)), bool(sent(late))) == (False, again)
    assert said(early) == (("Unknown", "Unknown") if again else ("False", "SnapshotRequested"))
    assert not sent(after(59, since, topics=topics))
    assert bool(sent(after(60, since, topics=topics))) == again


def test_a_connector_that_runs_and_does_not_begin_has_not_answered() -> None:
    stopped = {"connector": listening(conditions=[])}
    idle = worlds.with_status(asked(), after(10, asked(), **stopped).status)

    assert said(after(299, asked())) == ("False", "SnapshotRequested")
    late = after(301, asked())
    assert (late.status["phase"], said(late)) == ("Failed", ("False", "NoAnswer"))
    assert "shop.orders-db.signals" in worlds.condition(late, "Completed")["message"]
    assert "since" not in idle.resource.status["signal"]
    assert said(after(1000, idle)) == ("False", "SnapshotRequested")


def test_one_that_its_connector_forgot_is_lost() -> None:
    running = told(asked(), notification("STARTED"))
    named = listening(snapshot="headrace-uid-earlier")

    assert said(after(601, running)) == ("False", "SnapshotLost")
    assert said(after(599, running)) == ("False", "SnapshotRunning")
    assert said(after(6000, running, connector=named)) == ("False", "SnapshotRunning")
    assert said(after(6000, running, connector=listening(conditions=[]))) == ("False", "SnapshotRunning")


@pytest.mark.parametrize("connector", [Absent(), dataclasses.replace(listening(), uid="another")])
def test_it_ends_with_its_connector(connector: Any) -> None:
    assert said(after(10, told(asked(), notification("STARTED")), connector=connector)) == ("False", "SnapshotLost")


def test_what_cannot_be_known_is_unknown_and_keeps_what_was_known() -> None:
    running = told(asked(), notification("STARTED"))
    dark = after(10, running, topics=SILENT)

    assert (said(dark), dark.status["phase"]) == (("Unknown", "Unknown"), "Running")
    assert all(dark.status[one] == running.resource.status[one] for one in ("signal", "heard"))
