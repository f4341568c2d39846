"""Another clusterName: what was made before is neither moved nor made a second time, and says so."""

from __future__ import annotations

import dataclasses

import pytest

from headrace_operator.observed.connect import ConnectorSeen, WorkersSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import moved, needs
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition

MADE = {
    "Consumer": ("headrace.shop.billing", "headrace.east.shop.billing"),
    "Connector": ("shop.orders-db", "east.shop.orders-db"),
    "ConnectCluster": ("connect.shop.main", "connect.east.shop.main"),
    "OutboxRelay": ("shop.parcels.outbox.", "east.shop.parcels.outbox."),
}


def made(kind: str, cluster: str = "") -> Resource:
    """Return a resource of a kind as its first pass leaves it in a cluster of this name."""
    world = statuses.WORLDS[kind]()
    resource: Resource = dataclasses.replace(world.resource, cluster=cluster)
    status = statuses.planned(dataclasses.replace(world, resource=resource)).status
    return dataclasses.replace(resource, status=status)


@pytest.mark.parametrize(("kind", "names"), MADE.items())
@pytest.mark.parametrize("back", [False, True])
def test_what_was_made_by_another_name_is_held_and_names_both(kind: str, names: tuple[str, str], back: bool) -> None:
    before, after = ("east", "") if back else ("", "east")
    resource = made(kind, before)
    plan = moved.plan(dataclasses.replace(resource, cluster=after), worlds.NOW)

    assert plan is not None
    assert plan.actions == ()
    assert condition(plan, "Ready")["reason"] == "ClusterNameChanged"
    assert condition(plan, "Stalled")["status"] == "True"
    old, new = reversed(names) if back else names
    assert f"made as {old}," in condition(plan, "Accepted")["message"]
    assert f"would make it {new}:" in condition(plan, "Accepted")["message"]
    assert plan.status["accepted"] == resource.status["accepted"]


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("cluster", ["", "east"])
def test_the_same_name_changes_nothing(kind: str, cluster: str) -> None:
    assert moved.plan(made(kind, cluster), worlds.NOW) is None


@pytest.mark.parametrize("kind", MADE)
def test_what_was_never_accepted_takes_the_name_there_is(kind: str) -> None:
    resource = made(kind)
    refused = dataclasses.replace(resource, cluster="east", status={**resource.status, "accepted": None})

    assert moved.plan(refused, worlds.NOW) is None


def test_workers_of_a_release_that_recorded_no_group_have_the_one_without_a_name() -> None:
    resource = made("ConnectCluster")
    earlier = {name: value for name, value in resource.status.items() if name != "group"}

    assert moved.plan(dataclasses.replace(resource, status=earlier), worlds.NOW) is None
    assert moved.plan(dataclasses.replace(resource, status=earlier, cluster="east"), worlds.NOW) is not None


def test_it_is_over_when_the_name_is_what_it_was() -> None:
    resource = made("Consumer")
    held = moved.plan(dataclasses.replace(resource, cluster="east"), worlds.NOW)
    assert held is not None

    assert moved.plan(dataclasses.replace(resource, status=held.status), worlds.NOW) is None


@pytest.mark.parametrize(("cluster", "orphans"), [("", {"shop.x": "x"}), ("east", {"east.shop.x": "x"})])
def test_workers_know_what_is_named_by_their_own_name_only(cluster: str, orphans: dict[str, str]) -> None:
    seen = {
        name: ConnectorSeen(name=name, config=worlds.MARKED, state="RUNNING", trace=None, tasks=())
        for name in ("shop.x", "east.shop.x", "west.shop.x")
    }
    workers = WorkersSeen(version="4.3.1", kafka_cluster_id="k", plugins=(), connectors=seen)

    assert needs.orphans(dataclasses.replace(worlds.CONNECT, cluster=cluster), workers, ()) == orphans
