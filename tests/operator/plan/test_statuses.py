"""What tools that wait conclude from the statuses that plans write: Current, InProgress or Failed, by kstatus' rules.

The rules are those of sigs.k8s.io/cli-utils/pkg/kstatus for custom resources, in its order.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.observed.connect import FieldError, Validation
from headrace_operator.observed.kafka import Rates
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConsumerWorld
from headrace_operator.plan import connectcluster, connector, consumer
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.reasons import Reason
from tests.operator import worlds

BAD: dict[str, Any] = {"spec": {"nonsense": True}, "generation": 2}


def kstatus(generation: int, status: dict[str, Any]) -> str:
    """Return what `kubectl wait`-like tools built on kstatus conclude."""
    conditions = {found["type"]: found["status"] for found in status.get("conditions", ())}
    if status.get("observedGeneration", generation) != generation:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if conditions.get("Ready", "True") != "True" else "Current"


def planned_consumer(settled: bool = False, **changes: Any) -> tuple[Resource, Plan]:
    world = worlds.consumer_world()
    if settled:
        first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
        world = worlds.with_status(worlds.after_consumer(world, first.actions), first.status)
    world = _changed(world, changes)
    return world.resource, consumer.plan(world, worlds.SETTINGS, worlds.NOW)


def planned_connector(settled: bool = False, **changes: Any) -> tuple[Resource, Plan]:
    world = worlds.connector_world()
    if settled:
        first = connector.plan(world, worlds.SETTINGS, worlds.NOW)
        world = worlds.with_status(worlds.after_connector(world, first.actions), first.status)
    world = _changed(world, changes)
    return world.resource, connector.plan(world, worlds.SETTINGS, worlds.NOW)


def planned_connect(settled: bool = False, **changes: Any) -> tuple[Resource, Plan]:
    world = worlds.connect_world()
    if settled:
        first = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)
        world = worlds.with_status(worlds.after_connect(world, first.actions), first.status)
    world = _changed(world, changes)
    return world.resource, connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)


def _changed(world: Any, changes: dict[str, Any]) -> Any:
    edit = {name: changes.pop(name) for name in ("spec", "generation") if name in changes}
    resource = dataclasses.replace(world.resource, **edit)
    return dataclasses.replace(world, resource=resource, **changes)


REFUSED = Validation(errors=(FieldError(field="tasks.max", message="not a number"),))
SILENT = Unknown(reason="GET http://x: no answer within 5 s")
CASES: tuple[tuple[str, tuple[Resource, Plan], str], ...] = (
    ("a new Consumer", planned_consumer(), "InProgress"),
    ("a Consumer that runs", planned_consumer(settled=True), "Current"),
    ("a Consumer without its topic", planned_consumer(topics={}), "InProgress"),
    ("a Consumer without its Connector", planned_consumer(connector=Absent(), connect=None), "InProgress"),
    ("a Consumer without its KafkaConnection", planned_consumer(kafka=Absent()), "InProgress"),
    ("a Consumer while Kafka is silent", planned_consumer(topics=SILENT, backlog=SILENT), "InProgress"),
    ("a Consumer without its code", planned_consumer(code=Absent()), "InProgress"),
    ("a Consumer while objects cannot be read", planned_consumer(children=SILENT), "InProgress"),
    ("a new Consumer with a bad spec", planned_consumer(**BAD), "Failed"),
    ("a Consumer with a bad edit", planned_consumer(settled=True, **BAD), "Failed"),
    ("a Consumer whose figures are missing", planned_consumer(settled=True, backlog=SILENT), "Current"),
    (
        "a Consumer with a burst",
        planned_consumer(settled=True, rates=Rates(arrivals=5000.0, handled=10.0)),
        "Current",
    ),
    ("a new Connector", planned_connector(), "InProgress"),
    ("a Connector that runs", planned_connector(settled=True), "Current"),
    ("a Connector that Connect refuses", planned_connector(validation=REFUSED), "Failed"),
    ("a Connector whose edit Connect refuses", planned_connector(settled=True, validation=REFUSED), "Failed"),
    ("a Connector while Connect is silent", planned_connector(seen=SILENT, validation=None), "InProgress"),
    ("a Connector without its ConnectCluster", planned_connector(connect=Absent(), seen=SILENT), "InProgress"),
    ("a Connector without its Secret", planned_connector(secrets={"shop-db": Absent()}), "InProgress"),
    ("a Connector with a bad edit", planned_connector(settled=True, **BAD), "Failed"),
    ("a new ConnectCluster", planned_connect(), "InProgress"),
    ("a ConnectCluster that runs", planned_connect(settled=True), "Current"),
    ("a ConnectCluster without its KafkaConnection", planned_connect(kafka=Absent()), "InProgress"),
    ("a ConnectCluster that is silent", planned_connect(settled=True, workers=SILENT), "InProgress"),
    ("a ConnectCluster with a bad edit", planned_connect(settled=True, **BAD), "Failed"),
)


@pytest.mark.parametrize(("what", "seen", "expected"), CASES, ids=[case[0] for case in CASES])
def test_tools_that_wait_conclude(what: str, seen: tuple[Resource, Plan], expected: str) -> None:
    resource, plan = seen
    assert kstatus(resource.generation, dict(plan.status)) == expected, what


@pytest.mark.parametrize("seen", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_every_status_is_whole(seen: tuple[Resource, Plan]) -> None:
    resource, plan = seen
    conditions = plan.status["conditions"]

    assert plan.status["observedGeneration"] == resource.generation
    assert {found["observedGeneration"] for found in conditions} == {resource.generation}
    assert conditions[0]["type"] == "Ready"
    assert all(found["status"] == "True" for found in conditions if found["type"] in ("Reconciling", "Stalled"))
    assert {found["reason"] for found in conditions} <= set(Reason)
    assert {note.reason for note in plan.notes} <= set(Reason)
    assert all(found["message"] for found in conditions)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_an_object_nobody_has_looked_at_is_in_progress(kind: Any) -> None:
    assert kstatus(1, crd.schema(kind)["properties"]["status"]["default"]) == "InProgress"


def test_a_crash_between_record_and_act_leaves_nothing_stale() -> None:
    """Any number of actions may have been done when the operator ends: the next passes end in the same place."""
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    for done in range(len(first.actions) + 1):
        crashed = worlds.with_status(worlds.after_consumer(world, first.actions[:done]), first.status)
        again = consumer.plan(crashed, worlds.SETTINGS, worlds.NOW)
        after = worlds.with_status(worlds.after_consumer(crashed, again.actions), again.status)
        last = consumer.plan(after, worlds.SETTINGS, worlds.NOW)

        assert last.actions == ()
        assert kstatus(1, dict(last.status)) == "Current"


def test_only_transitions_make_events() -> None:
    world = worlds.consumer_world(topics={})
    counts = []
    for _ in range(5):
        plan = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
        counts.append(len(plan.notes))
        world = worlds.with_status(world, plan.status)

    assert counts[0] > 0
    assert set(itertools.islice(counts, 1, None)) == {0}


def settled_consumer() -> ConsumerWorld:
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    world = worlds.with_status(worlds.after_consumer(world, first.actions), first.status)
    return worlds.with_status(world, consumer.plan(world, worlds.SETTINGS, worlds.NOW).status)


def with_deployment(world: ConsumerWorld, replicas: int, status: dict[str, int]) -> ConsumerWorld:
    assert not isinstance(world.children, Unknown)
    objects = dict(world.children.objects)
    live = objects["Deployment", "billing-consumer"]
    metadata = {**live["metadata"], "generation": 2}
    objects["Deployment", "billing-consumer"] = {
        **live,
        "metadata": metadata,
        "spec": {**live["spec"], "replicas": replicas},
        "status": status,
    }
    return dataclasses.replace(world, children=dataclasses.replace(world.children, objects=objects))


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1},
        {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 1},
    ],
)
def test_replicas_on_their_way_leave_a_consumer_ready(status: dict[str, int]) -> None:
    plan = consumer.plan(with_deployment(settled_consumer(), 3, status), worlds.SETTINGS, worlds.NOW)

    assert kstatus(1, dict(plan.status)) == "Current"


def test_an_edit_is_in_progress_from_its_first_pass_until_its_pods_run() -> None:
    world = settled_consumer()
    spec = {**worlds.CONSUMER.spec, "delivery": {"concurrency": 3}}
    world = dataclasses.replace(world, resource=dataclasses.replace(world.resource, spec=spec, generation=2))
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    acted = worlds.with_status(worlds.after_consumer(world, first.actions), first.status)
    unseen = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    second = consumer.plan(with_deployment(acted, 1, unseen), worlds.SETTINGS, worlds.NOW)
    last = consumer.plan(acted, worlds.SETTINGS, worlds.NOW)

    assert [kstatus(2, dict(plan.status)) for plan in (first, second, last)] == ["InProgress", "InProgress", "Current"]
