"""A Consumer that is paused runs no pod and forgets nothing: what it read, how many replicas it had, what waits."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from headrace_operator.observed.kafka import Rates
from headrace_operator.observed.kube import Children, Manifest
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Action, Apply, Plan
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.plan.test_sources import backlog

pytestmark = pytest.mark.case("clusters-13")

PAUSED = {**worlds.CONSUMER.spec, "state": "Paused"}
FOUR = {
    "desired": 4,
    "reason": "ScaleUp",
    "message": "2 to 4",
    "time": "2026-01-02T03:00:00Z",
    "capacityPerReplica": 90,
}


def replicas(actions: tuple[Action, ...]) -> list[int]:
    """Return how many replicas each Deployment that is applied shall have."""
    made = [one.manifest for one in actions if isinstance(one, Apply) and one.manifest["kind"] == "Deployment"]
    return [manifest["spec"]["replicas"] for manifest in made]


def running() -> Any:
    """Return a world of four replicas that have work."""
    world = statuses.changed(
        worlds.with_status(worlds.consumer_world(), {"scaling": FOUR}), rates=Rates(arrivals=None, handled=None)
    )
    for _ in range(4):
        world = statuses.acted(world, statuses.planned(world))
    return world


def paused(**changes: Any) -> tuple[Any, Plan]:
    """Return a world whose Consumer was paused while it ran, and the plan once nothing is left to do."""
    world = statuses.changed(running(), spec=PAUSED, generation=2, **changes)
    for _ in range(4):
        world = statuses.acted(world, statuses.planned(world))
    return world, statuses.planned(world)


def test_no_replica_is_wanted_and_nothing_else_changes() -> None:
    before = running()
    plan = statuses.planned(statuses.changed(before, spec=PAUSED, generation=2))

    assert before.resource.status["replicas"] == 4
    assert replicas(plan.actions) == [0]
    assert [one.manifest["kind"] for one in plan.actions if isinstance(one, Apply)] == ["Deployment"]
    (applied,) = plan.actions
    assert isinstance(applied, Apply)
    live = before.children.objects["Deployment", "billing-consumer"]
    assert applied.manifest["spec"]["template"] == live["spec"]["template"]


def test_it_is_ready_and_says_so_once_no_pod_is_left() -> None:
    ending = statuses.planned(statuses.changed(running(), spec=PAUSED, generation=2))
    _, plan = paused()

    assert worlds.condition(ending, "Ready")["status"] == "False"
    assert worlds.condition(ending, "Deployed")["message"].endswith("wants: 4.")
    assert worlds.condition(ending, "Paused") == {}
    assert plan.actions == ()
    assert [worlds.condition(plan, kind)["status"] for kind in ("Ready", "Deployed", "Paused")] == ["True"] * 3
    assert worlds.condition(plan, "Ready")["reason"] == "Paused"
    assert "headrace resume billing -n shop" in worlds.condition(plan, "Ready")["message"]
    assert worlds.condition(plan, "ScalingActive")["reason"] == "Paused"
    assert plan.status["replicasReady"] == "0/0"


def test_what_waits_is_told_meanwhile() -> None:
    _, plan = paused(backlog=backlog(**{worlds.TOPIC: 39}))

    assert plan.status["lag"]["records"] == 39


def test_it_goes_on_with_as_many_replicas_as_it_had() -> None:
    """However long that took, and however much waits by then."""
    world, plan = paused()
    resumed = statuses.changed(world, spec=worlds.CONSUMER.spec, generation=3)
    later = consumer.plan(resumed, worlds.SETTINGS, worlds.NOW + timedelta(days=3))

    assert plan.status["scaling"] == running().resource.status["scaling"]
    assert replicas(later.actions) == [4]
    assert worlds.condition(later, "Paused") == {}
    assert worlds.condition(later, "Ready")["status"] == "False"


@pytest.mark.case("clusters-12")
@pytest.mark.parametrize("state", ["Paused", "Running"])
def test_what_has_records_does_not_leave_it_while_no_pod_runs(state: str) -> None:
    world, _ = paused(backlog=backlog(**{worlds.TOPIC: 39}))
    edit = {**PAUSED, "state": state, "from": {"connector": "orders-db", "routes": ["other"]}}
    plan = statuses.planned(statuses.changed(world, spec=edit, generation=3))

    assert worlds.condition(plan, "Accepted")["reason"] == "RecordsWait"
    assert f"39 in {worlds.TOPIC}" in worlds.condition(plan, "Accepted")["message"]
    assert replicas(plan.actions) == []


def test_one_that_is_paused_from_the_beginning_makes_everything_but_pods() -> None:
    plan = statuses.planned(statuses.changed(worlds.consumer_world(), spec=PAUSED))
    kinds = {one.manifest["kind"] for one in plan.actions if isinstance(one, Apply)}

    assert replicas(plan.actions) == [0]
    assert kinds == {"ServiceAccount", "PodDisruptionBudget", "ConfigMap", "Deployment"}
    assert "startTime" not in {name for name, value in plan.status.items() if value is not None}


def test_an_edit_while_it_is_paused_reaches_the_deployment() -> None:
    world, _ = paused()
    edit = {**PAUSED, "delivery": {"concurrency": 3}}
    plan = statuses.planned(statuses.changed(world, spec=edit, generation=3))

    assert replicas(plan.actions) == [0]
    assert worlds.condition(plan, "Deployed")["status"] == "False"


def test_pods_that_somebody_scaled_up_by_hand_are_ended() -> None:
    world, _ = paused()
    by_hand = _scaled(world.children, 2)
    plan = statuses.planned(dataclasses.replace(world, children=by_hand))

    assert replicas(plan.actions) == [0]
    assert worlds.condition(plan, "Paused") == {}


def test_nobody_is_told_that_it_goes_on_while_its_pods_cannot_be_read() -> None:
    world, before = paused()
    plan = statuses.planned(dataclasses.replace(world, children=Unknown(reason="no answer")))

    assert worlds.condition(plan, "Paused")["message"] == worlds.condition(before, "Paused")["message"]
    assert plan.status["replicasReady"] == "0/0"


def test_a_pause_is_an_event_and_no_warning() -> None:
    world = statuses.changed(running(), spec=PAUSED, generation=2)
    told = []
    for _ in range(4):
        plan = statuses.planned(world)
        told += [note for note in plan.notes if note.reason == "Paused"]
        world = statuses.acted(world, plan)

    assert {note.type for note in told} == {"Normal"}
    assert any(note.message.startswith("Paused=True: ") for note in told)


def _scaled(children: Children, count: int) -> Children:
    live: Manifest = children.objects["Deployment", "billing-consumer"]
    status = {**live["status"], "replicas": count, "updatedReplicas": count, "readyReplicas": count}
    scaled = {**live, "spec": {**live["spec"], "replicas": count}, "status": status}
    return dataclasses.replace(children, objects={**children.objects, ("Deployment", "billing-consumer"): scaled})
