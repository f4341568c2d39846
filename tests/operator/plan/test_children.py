"""Whose a live object is: what a resource does not control is never applied over, and who is meant is who was seen."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.observed.kube import Children
from headrace_operator.plan.actions import Apply
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition

KINDS = ("ConnectCluster", "Consumer", "OutboxRelay")
OBJECTS = [(kind, *at) for kind in KINDS for at in statuses.settled(kind).children.objects]
REFERENCE = {"apiVersion": "headrace.dev/v1alpha1", "kind": "Consumer", "name": "billing", "uid": "uid-billing"}
THEIRS: tuple[dict[str, Any], ...] = (
    {},
    {"ownerReferences": []},
    {"ownerReferences": [REFERENCE]},
    {"ownerReferences": [{**REFERENCE, "uid": "uid-of-an-earlier-one", "controller": True}]},
)


def with_object(world: Any, at: tuple[str, str], live: dict[str, Any]) -> Any:
    """Return the world in which this is the live object at a place."""
    return dataclasses.replace(world, children=Children(objects={**world.children.objects, at: live}))


@pytest.mark.parametrize("metadata", THEIRS)
@pytest.mark.parametrize(("owner", "kind", "name"), OBJECTS)
def test_an_object_of_someone_else_stops_every_apply(
    owner: str, kind: str, name: str, metadata: dict[str, Any]
) -> None:
    """Before anything was made, and also when one that was made was deleted and made anew by another."""
    theirs = {"kind": kind, "metadata": {"name": name, "uid": "theirs", "labels": {"team": "shop"}, **metadata}}
    for world in (statuses.WORLDS[owner](), statuses.settled(owner)):
        plan = statuses.planned(with_object(world, (kind, name), theirs))
        deployed = condition(plan, "Deployed")

        assert plan.actions == ()
        assert (deployed["status"], deployed["reason"]) == ("False", "NameTaken")
        assert condition(plan, "Ready")["reason"] == "NameTaken"
        assert f"{kind} {name} is there and does not belong to this {owner}" in deployed["message"]
        assert "delete" in deployed["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_replicas_of_someone_elses_deployment_are_not_told_as_ours(kind: str) -> None:
    world = statuses.settled(kind)
    (at,) = [at for at in world.children.objects if at[0] == "Deployment"]
    live = world.children.objects[at]
    theirs = {**live, "metadata": {**live["metadata"], "ownerReferences": []}}
    status = statuses.planned(with_object(world, at, theirs)).status

    assert (status["replicas"], status["readyReplicas"]) == (0, 0)


def test_no_connector_is_removed_from_workers_behind_someone_elses_service() -> None:
    world = statuses.settled("ConnectCluster")
    world = dataclasses.replace(world, **worlds.lost("shop.x"))
    theirs = {"kind": "Service", "metadata": {"name": "main-connect", "uid": "theirs"}}

    assert len(statuses.planned(world).actions) == 1
    assert statuses.planned(with_object(world, ("Service", "main-connect"), theirs)).actions == ()


@pytest.mark.parametrize(("owner", "kind", "name"), OBJECTS)
def test_an_apply_is_for_the_very_object_that_was_seen(owner: str, kind: str, name: str) -> None:
    world = statuses.settled(owner)
    live = dict(world.children.objects[kind, name])
    live["metadata"] = {**live["metadata"], "annotations": {}}
    (again,) = statuses.planned(with_object(world, (kind, name), live)).actions
    first = [one for one in statuses.planned(statuses.WORLDS[owner]()).actions if isinstance(one, Apply)]

    assert isinstance(again, Apply)
    assert again.manifest["metadata"]["uid"] == f"uid-{kind}-{name}"
    assert all("uid" not in one.manifest["metadata"] for one in first)
