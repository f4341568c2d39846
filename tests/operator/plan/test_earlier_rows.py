"""Of which tables earlier rows were never read, and what the Connector says of them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import connector, earlier_rows
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.conditions import timestamp
from tests.fakes import agent
from tests.operator import worlds
from tests.operator.plan.databases import running, world

pytestmark = pytest.mark.case("databases-5")

ADDED = timestamp(worlds.NOW)
SOURCE = agent.source(tables={"public.a": {}, "public.b": {"rows": 1200}, "public.c": {"rows": None}})


def capturing(*tables: str, before: tuple[str, ...] = ("public.a",), **status: Any) -> ConnectorWorld:
    """Return a Connector that runs, has captured those of ``before``, and is edited to capture ``tables``."""
    spec = {**worlds.CONNECTOR.spec, "capture": {"tables": list(before)}}
    there = later(running(world(SOURCE, resource=worlds.resource("Connector", "orders-db", spec))))
    edited = {**spec, "capture": {"tables": list(tables)}}
    there = worlds.with_status(there, {**there.resource.status, **status})
    return dataclasses.replace(there, resource=dataclasses.replace(there.resource, spec=edited, generation=2))


def later(seen: ConnectorWorld, **changes: Any) -> ConnectorWorld:
    """Return the Connector after its pass."""
    return dataclasses.replace(worlds.with_status(seen, planned(seen).status), **changes)


def planned(seen: ConnectorWorld) -> Plan:
    return connector.plan(seen, worlds.SETTINGS, worlds.NOW)


def unread(plan: Plan) -> list[str]:
    return [one["name"] for one in plan.status["unread"] or ()]


def snapshot(*tables: str, after: int = 60, connector: str = "uid-orders-db", phase: str = "Completed") -> Resource:
    """Return a Snapshot that ended so many seconds after the tables were added."""
    status = {
        "phase": phase,
        "completedAt": timestamp(worlds.NOW + timedelta(seconds=after)),
        "signal": {"connector": connector, "offset": 0, "answers": 0},
    }
    return worlds.resource("Snapshot", "earlier", {"connector": "orders-db", "tables": list(tables)}, status=status)


def test_a_table_that_is_added_is_counted_until_a_snapshot_has_read_it() -> None:
    first = capturing("public.a", "public.b")
    told = planned(first)
    said = worlds.condition(told, earlier_rows.TYPE)
    read = later(first, snapshots=(snapshot("public.b"),))

    assert told.status["unread"] == ({"name": "public.b", "since": ADDED},)
    assert (said["status"], said["reason"]) == ("False", "RowsNotRead")
    assert "public.b (about 1200 rows)" in said["message"]
    assert worlds.condition(told, "Ready")["reason"] != "RowsNotRead"
    assert unread(planned(later(first))) == ["public.b"]
    assert unread(planned(read)) == []
    assert earlier_rows.TYPE not in {one["type"] for one in planned(read).status["conditions"]}


@pytest.mark.parametrize(
    "other",
    [
        snapshot("public.c"),
        snapshot("public.b", after=-60),
        snapshot("public.b", connector="uid-of-the-one-before"),
        snapshot("public.b", phase="Failed"),
        snapshot("public.b", phase="Running"),
    ],
)
def test_another_snapshot_reads_none_of_it(other: Resource) -> None:
    assert unread(planned(later(capturing("public.a", "public.b"), snapshots=(other,)))) == ["public.b"]


def test_one_that_reads_all_at_each_start_lacks_nothing() -> None:
    seen = capturing("public.a", "public.b")
    spec = {**seen.resource.spec, "config": {"snapshot.mode": "always"}}

    assert unread(planned(dataclasses.replace(seen, resource=dataclasses.replace(seen.resource, spec=spec)))) == []


@pytest.mark.parametrize(("snapshot", "found"), [("INITIAL", []), (None, ["public.b"])])
def test_one_that_takes_its_first_snapshot_reads_all(snapshot: str | None, found: list[str]) -> None:
    """And may be past it while it has told no offset."""
    seen = capturing("public.a", "public.b")
    offsets = ({"partition": {"server": "x"}, "offset": {"lsn": 1, "snapshot": snapshot}},) if snapshot else ()
    assert isinstance(seen.seen, ConnectorSeen)

    assert unread(planned(dataclasses.replace(seen, seen=dataclasses.replace(seen.seen, offsets=offsets)))) == found


def test_of_one_of_which_nothing_is_known_nothing_is_said() -> None:
    assert unread(planned(capturing("public.a", "public.b", accepted=None))) == []


@pytest.mark.parametrize(("seconds", "found"), [(60, []), (-60, ["public.b"])])
def test_one_that_was_made_to_begin_anew_since_reads_all(seconds: int, found: list[str]) -> None:
    there = later(capturing("public.a", "public.b"))
    at = timestamp(worlds.NOW + timedelta(seconds=seconds))
    reset = {"id": "1", "action": "ResetOffsets", "phase": "Done", "since": at, "message": "Done."}

    status = {**there.resource.status, "operations": {"offsets": reset}}
    assert unread(planned(worlds.with_status(there, status))) == found


def test_what_is_captured_no_more_is_forgotten_and_is_new_when_it_comes_again() -> None:
    there = later(capturing("public.a", "public.b"))
    both, one = there.resource.spec, capturing("public.a").resource.spec
    without = dataclasses.replace(there, resource=dataclasses.replace(there.resource, spec=one, generation=3))
    left = later(without)
    again = dataclasses.replace(left, resource=dataclasses.replace(left.resource, spec=both, generation=4))

    assert unread(planned(without)) == []
    assert unread(planned(again)) == ["public.b"]


def test_many_are_counted() -> None:
    tables = ("public.a", "public.b", "public.c", "public.d", "public.e", "public.f")
    seen = dataclasses.replace(capturing(*tables), source=agent.source())
    said = worlds.condition(planned(seen), earlier_rows.TYPE)

    assert "public.b, public.c, public.d and 2 more" in said["message"]
