"""What tools that wait conclude from the statuses that plans write, by the real kstatus (a Go program)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConsumerWorld
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.plan.kstatus.program import conclude

pytestmark = pytest.mark.slow


def concluded(*seen: tuple[Resource, Any]) -> list[str]:
    return conclude([statuses.as_object(resource, status) for resource, status in seen])


def test_tools_that_wait_conclude_what_is_so() -> None:
    """The whole table, one status per case."""
    expected = {name: verdict for name, _, verdict in statuses.CASES}
    found = concluded(*((resource, plan.status) for _, (resource, plan), _ in statuses.CASES))

    assert dict(zip(statuses.NAMES, found, strict=True)) == expected


def test_an_object_nobody_has_looked_at_is_in_progress() -> None:
    """Without a status of its own it would be taken for done."""
    defaults = [crd.schema(kind)["properties"]["status"]["default"] for kind in KINDS]

    assert concluded(*((worlds.CONSUMER, default) for default in defaults)) == ["InProgress"] * len(KINDS)


@pytest.mark.parametrize("kind", ["ConnectCluster", "Connector", "Consumer", "OutboxRelay"])
def test_a_crash_between_record_and_act_leaves_nothing_stale(kind: str) -> None:
    """Any number of actions may have been done when the operator ends: the next pass acts, and all is done."""
    world = statuses.WORLDS[kind]()
    first = statuses.planned(world)
    ends = []
    for done in range(len(first.actions) + 1):
        crashed = statuses.acted(world, first, done)
        after = statuses.acted(crashed, statuses.planned(crashed))
        last = statuses.planned(after)
        assert last.actions == ()
        ends.append((after.resource, last.status))

    assert len(ends) > 1
    assert set(concluded(*ends)) == {"Current"}


def with_deployment(world: ConsumerWorld, replicas: int, status: dict[str, int]) -> ConsumerWorld:
    assert not isinstance(world.children, Unknown)
    objects = dict(world.children.objects)
    live = objects["Deployment", "billing-consumer"]
    objects["Deployment", "billing-consumer"] = {
        **live,
        "metadata": {**live["metadata"], "generation": 2},
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
    world = with_deployment(statuses.settled("Consumer"), 3, status)

    assert concluded((world.resource, statuses.planned(world).status)) == ["Current"]


def test_an_edit_is_in_progress_from_its_first_pass_until_its_pods_run() -> None:
    spec = {**worlds.CONSUMER.spec, "delivery": {"concurrency": 3}}
    world = statuses.changed(statuses.settled("Consumer"), spec=spec, generation=2)
    unseen = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    first = statuses.planned(world)
    acted = statuses.acted(world, first)
    second = statuses.planned(with_deployment(acted, 1, unseen))
    last = statuses.planned(acted)
    seen = [(world.resource, status) for status in (world.resource.status, first.status, second.status, last.status)]

    assert concluded(*seen) == ["InProgress", "InProgress", "InProgress", "Current"]
