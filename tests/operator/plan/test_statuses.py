"""Every status that a plan writes is whole, says why, and depends on nothing that a gate must not depend on."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen, Rates
from headrace_operator.observed.value import Absent
from headrace_operator.plan.actions import Note
from headrace_operator.plan.reasons import Reason
from tests.operator import worlds
from tests.operator.plan import statuses

PASSES = 100
READY, WAITING = statuses.settled("Consumer"), worlds.consumer_world(topics={})


def truths(status: Any) -> dict[str, str]:
    return {found["type"]: found["status"] for found in status["conditions"]}


@pytest.mark.parametrize("seen", [case[1] for case in statuses.CASES], ids=statuses.NAMES)
def test_every_status_is_whole(seen: statuses.Seen) -> None:
    """The generation is written with the conditions; both abnormal conditions are there only while true."""
    resource, plan = seen
    conditions = plan.status["conditions"]

    assert plan.status["observedGeneration"] == resource.generation
    assert {found["observedGeneration"] for found in conditions} == {resource.generation}
    assert conditions[0]["type"] == "Ready"
    assert all(found["status"] == "True" for found in conditions if found["type"] in ("Reconciling", "Stalled"))
    assert {found["reason"] for found in conditions} <= set(Reason)
    assert {note.reason for note in plan.notes} <= set(Reason)
    assert all(found["message"] for found in conditions)


@pytest.mark.parametrize("kind", statuses.WORLDS)
def test_an_unchanged_world_makes_no_event(kind: str) -> None:
    """Well, or not yet made, or refused: after the first pass that saw it, a hundred more say nothing."""
    for world in (
        statuses.WORLDS[kind](),
        statuses.settled(kind),
        statuses.changed(statuses.settled(kind), **statuses.BAD),
    ):
        first = statuses.planned(world)
        quiet = worlds.with_status(world, first.status)
        notes: list[Note] = []
        for _ in range(PASSES):
            plan = statuses.planned(quiet)
            notes += plan.notes
            quiet = worlds.with_status(quiet, plan.status)

        assert first.notes or world.resource.status
        assert notes == []


@pytest.mark.parametrize("kind", statuses.WORLDS)
def test_a_bad_edit_names_its_field_and_changes_nothing_that_runs(kind: str) -> None:
    world = statuses.settled(kind)
    plan = statuses.planned(statuses.changed(world, **statuses.BAD))

    assert truths(plan.status)["Accepted"] == "False"
    assert truths(plan.status)["Stalled"] == "True"
    assert "spec." in next(found["message"] for found in plan.status["conditions"] if found["type"] == "Accepted")
    assert plan.status["accepted"] == world.resource.status["accepted"]
    assert plan.actions == ()


COUNTS = st.integers(0, 1_000_000)
PARTITION = st.builds(
    PartitionSeen,
    topic=st.just(worlds.TOPIC),
    partition=st.integers(0, 11),
    start=st.just(0),
    end=COUNTS,
    committed=st.none() | COUNTS,
    lag_seconds=st.none() | st.floats(0, 1e6),
)
BACKLOG = st.builds(
    BacklogSeen,
    at=st.just(worlds.NOW),
    partitions=st.lists(PARTITION, max_size=12).map(tuple),
    dead_letters_total=st.none() | COUNTS,
    dead_letters_outstanding=st.none() | COUNTS,
)
RATES = st.builds(Rates, arrivals=st.none() | st.floats(0, 1e6), handled=st.none() | st.floats(0, 1e6))


@given(backlog=BACKLOG | st.just(statuses.SILENT), rates=RATES, more=st.integers(0, 9), wanted=st.integers(1, 12))
def test_ready_depends_on_no_lag_no_dead_letter_and_no_scaling(
    backlog: Any, rates: Rates, more: int, wanted: int
) -> None:
    """A gate that closes because a handler refused a record would block every rollout behind it."""
    for world in (READY, WAITING):
        figures = _scaled(dataclasses.replace(world, backlog=backlog, rates=rates), wanted, 1 + more)

        assert truths(statuses.planned(figures).status)["Ready"] == truths(statuses.planned(world).status)["Ready"]


def _scaled(world: Any, wanted: int, there: int) -> Any:
    """Return the world in which a Deployment has been told to have other replicas, of which one is ready."""
    live = world.children.objects.get(("Deployment", "billing-consumer"))
    if live is None:
        return world
    counts = {**live["status"], "replicas": there, "updatedReplicas": there, "readyReplicas": 1}
    scaled = {**live, "spec": {**live["spec"], "replicas": wanted}, "status": counts}
    objects = {**world.children.objects, ("Deployment", "billing-consumer"): scaled}
    return dataclasses.replace(world, children=dataclasses.replace(world.children, objects=objects))


def test_giving_up_says_that_somebody_must_act() -> None:
    """Restarts are over: whoever waits need not wait longer."""
    plan = dict((name, seen[1]) for name, seen, _ in statuses.CASES)["a Connector whose task fails for good"]
    (stalled,) = [found for found in plan.status["conditions"] if found["type"] == "Stalled"]

    assert stalled["reason"] == Reason.RESTARTS_EXHAUSTED
    assert "mend the cause" in stalled["message"]
    assert "Reconciling" not in truths(plan.status)


def test_a_missing_reference_is_in_progress_and_not_stalled() -> None:
    """What is missing may come at any time, so that nobody gives up on it."""
    plan = statuses.new("Connector", connect=Absent(), seen=statuses.SILENT)[1]

    assert "Stalled" not in truths(plan.status)
    assert truths(plan.status)["Reconciling"] == "True"
