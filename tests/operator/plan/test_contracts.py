"""The contract of pods: never written over, kept while pods may be made with it, and then taken away."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from headrace_operator.observed.kube import ContractsSeen, Manifest
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Apply, Plan, Remove
from headrace_operator.plan.children import child
from tests.operator import worlds
from tests.operator.plan import statuses

pytestmark = pytest.mark.case("clusters-10")

EDITS: Mapping[str, dict[str, Any]] = {
    "Consumer": {**worlds.CONSUMER.spec, "handler": {"http": {"url": "http://billing:8080/another"}}},
    "ConnectCluster": {"kafka": "kafka", "workers": {"config": {"offset.flush.interval.ms": "9000"}}},
    "OutboxRelay": {**worlds.OUTBOX_RELAY.spec, "batch": 100},
}
UNCHANGING: Mapping[str, dict[str, Any]] = {
    "Consumer": {**worlds.CONSUMER.spec, "template": {"priorityClassName": "high"}},
    "ConnectCluster": {"kafka": "kafka", "workers": {"replicas": 3}},
    "OutboxRelay": {**worlds.OUTBOX_RELAY.spec, "replicas": 3},
}
kinds = pytest.mark.parametrize("kind", EDITS)


def edited(kind: str, spec: dict[str, Any]) -> Any:
    return statuses.changed(statuses.settled(kind), spec=spec, generation=2)


def applied(plan: Plan, kind: str) -> list[Manifest]:
    return [one.manifest for one in plan.actions if isinstance(one, Apply) and one.manifest["kind"] == kind]


def read_by(deployment: Manifest) -> str:
    """Return the contract that the pods of a Deployment, or of a ReplicaSet, are made with."""
    (volume,) = [one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "config"]
    sources = [volume, *volume.get("projected", {}).get("sources", ())]
    return str(next(one["configMap"]["name"] for one in sources if "configMap" in one))


def held(world: Any, kind: str) -> list[Manifest]:
    return [one for (of, _), one in world.children.objects.items() if of == kind]


def seen(world: Any, *workloads: Manifest, **more: Manifest) -> Any:
    """Return the world with a look at all its contracts, and at these workloads beside its Deployment."""
    made = ContractsSeen(
        config_maps=(*held(world, "ConfigMap"), *more.values()), workloads=(*held(world, "Deployment"), *workloads)
    )
    return dataclasses.replace(world, contracts=made)


def removed(world: Any) -> list[str]:
    """Return the ConfigMaps that a plan removes, last of all."""
    actions = statuses.planned(world).actions
    found = [one for one in actions if isinstance(one, Remove)]
    assert list(actions[len(actions) - len(found) :]) == found
    return [one.name for one in found]


def of_before(world: Any, **changes: Any) -> Manifest:
    """Return the contract as it was made before contracts were named by what they hold."""
    owner = dataclasses.replace(world.resource, **changes)
    (deployment,) = held(world, "Deployment")
    name = deployment["metadata"]["name"]
    return worlds.rolled_out(child(owner, "v1", "ConfigMap", name, {"data": {"config.json": "{}"}}))


def replica_set(contract: str) -> Manifest:
    volumes = [{"name": "config", "configMap": {"name": contract}}]
    return {"metadata": {"name": "old"}, "spec": {"replicas": 0, "template": {"spec": {"volumes": volumes}}}}


@kinds
def test_an_edit_makes_another_contract_and_leaves_the_one_that_old_pods_read(kind: str) -> None:
    before = statuses.settled(kind)
    (old,) = held(before, "ConfigMap")
    (deployment,) = held(before, "Deployment")
    assert old["immutable"] is True
    assert read_by(deployment) == old["metadata"]["name"]

    plan = statuses.planned(edited(kind, EDITS[kind]))
    (new,), (rolled,) = applied(plan, "ConfigMap"), applied(plan, "Deployment")

    assert new["immutable"] is True
    assert new["metadata"]["name"] == read_by(rolled) != old["metadata"]["name"]
    assert [one.manifest["kind"] for one in plan.actions if isinstance(one, Apply)] == ["ConfigMap", "Deployment"]
    assert rolled["spec"]["revisionHistoryLimit"] == 3


@kinds
def test_what_is_not_in_the_contract_leaves_it_as_it_is(kind: str) -> None:
    plan = statuses.planned(edited(kind, UNCHANGING[kind]))

    assert applied(plan, "Deployment")
    assert not applied(plan, "ConfigMap")


@kinds
def test_an_edit_that_is_taken_back_finds_its_contract_again(kind: str) -> None:
    before = statuses.settled(kind)
    there = edited(kind, EDITS[kind])
    there = statuses.acted(there, statuses.planned(there))
    back = statuses.changed(there, spec=before.resource.spec, generation=3)

    plan = statuses.planned(back)

    assert not applied(plan, "ConfigMap")
    assert [read_by(one) for one in applied(plan, "Deployment")] == [held(before, "ConfigMap")[0]["metadata"]["name"]]


@kinds
def test_a_contract_goes_when_nothing_makes_pods_with_it_any_more(kind: str) -> None:
    """Neither the Deployment, which may have no ReplicaSet yet, nor an old ReplicaSet, of however many pods."""
    (old,) = held(statuses.settled(kind), "ConfigMap")
    name = old["metadata"]["name"]
    world = edited(kind, EDITS[kind])
    rolling = seen(world)
    assert removed(rolling) == []

    after = statuses.acted(world, statuses.planned(world))
    assert removed(seen(after, replica_set(name))) == []
    assert removed(seen(after)) == [name]
    assert removed(after) == []
    assert removed(dataclasses.replace(after, contracts=Unknown(reason="no answer"))) == []


@kinds
def test_the_contract_of_an_edit_that_was_overtaken_before_its_deployment_goes(kind: str) -> None:
    """A crash between the two writes: what is wanted now is not taken away, whatever refers to it."""
    world = edited(kind, EDITS[kind])
    first = statuses.planned(world)
    half = first.actions.index(next(one for one in first.actions if isinstance(one, Apply))) + 1
    crashed = statuses.acted(world, first, half)
    (made,) = applied(first, "ConfigMap")
    assert removed(seen(crashed)) == []
    assert not applied(statuses.planned(crashed), "ConfigMap")

    back = statuses.changed(crashed, spec=statuses.settled(kind).resource.spec, generation=3)

    assert removed(seen(back)) == [made["metadata"]["name"]]


@kinds
def test_the_contract_of_the_last_release_stays_as_it_is_until_nothing_refers_to_it(kind: str) -> None:
    world = statuses.settled(kind)
    old = of_before(world)
    name = old["metadata"]["name"]
    running = [replica_set(name)]

    assert removed(seen(world, *running, old=old)) == []
    assert removed(seen(world, old=old)) == [name]
    assert name not in [one["metadata"]["name"] for one in applied(statuses.planned(seen(world)), "ConfigMap")]


@kinds
def test_what_is_not_the_resources_own_is_never_taken_away(kind: str) -> None:
    world = statuses.settled(kind)
    theirs = of_before(world, uid="uid-of-a-namesake")
    nobodys = {**theirs, "metadata": {"name": "theirs", "uid": "theirs", "labels": theirs["metadata"]["labels"]}}

    assert removed(seen(world, theirs=theirs, nobodys=nobodys)) == []


WORLDS = (
    worlds.consumer_world(),
    statuses.settled("Consumer"),
    edited("Consumer", EDITS["Consumer"]),
    edited("Consumer", {"nonsense": True}),
)


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize("world", WORLDS, ids=("new", "settled", "edited", "refused"))
def test_what_a_consumer_asks_for_is_known_before_its_children_are_looked_at(world: Any) -> None:
    """So it is found out once, to look at what is there of it, and the plan with it is the one without."""
    silent = Unknown(reason="not looked at")
    known = consumer.wish(dataclasses.replace(world, children=silent, contracts=silent))

    assert consumer.plan(world, worlds.SETTINGS, worlds.NOW, known) == statuses.planned(world)
