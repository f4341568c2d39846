"""Workers come to exactly-once, and away from it, in two rollouts; their connectors demand it in between only."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api.connectcluster import EXACTLY_ONCE
from headrace_operator.observed.kube import Children
from headrace_operator.observed.world import ConnectClusterWorld
from headrace_operator.plan import connectcluster, connector
from tests.operator import worlds
from tests.operator.worlds import condition

PLAIN: dict[str, Any] = {"kafka": "kafka", "workers": {"replicas": 2}}
ONCE: dict[str, Any] = {"kafka": "kafka", "workers": {"replicas": 2, "exactlyOnce": True}}
DEPLOYMENT = ("Deployment", "main-connect")


def that_wants(world: ConnectClusterWorld, spec: dict[str, Any]) -> ConnectClusterWorld:
    """Return the world after an edit of the ConnectCluster."""
    before = world.resource
    return dataclasses.replace(world, resource=dataclasses.replace(before, spec=spec, generation=before.generation + 1))


def passed(world: ConnectClusterWorld) -> ConnectClusterWorld:
    """Return the world after one pass, with all that it applied rolled out."""
    plan = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)
    return worlds.with_status(worlds.after_connect(world, plan.actions), plan.status)


def support(world: ConnectClusterWorld) -> str:
    """Return what the workers' pods are started with, now."""
    document = connectcluster.contract(world)
    assert document is not None
    lines = document["data"]["worker.properties"].splitlines()
    return next((one.partition("=")[2] for one in lines if one.startswith(EXACTLY_ONCE)), "disabled")


def rolling(world: ConnectClusterWorld) -> ConnectClusterWorld:
    """Return the world while one pod of the Deployment is of the template before."""
    assert isinstance(world.children, Children)
    live = world.children.objects[DEPLOYMENT]
    live = {**live, "status": {**live["status"], "updatedReplicas": 1}}
    children = dataclasses.replace(world.children, objects={**world.children.objects, DEPLOYMENT: live})
    return dataclasses.replace(world, children=children)


def test_new_workers_begin_with_it() -> None:
    world = that_wants(worlds.connect_world(), ONCE)
    assert support(world) == "enabled"
    assert passed(passed(world)).resource.status["exactlyOnce"] == "Enabled"


@pytest.mark.parametrize(("before", "after", "end"), [(PLAIN, ONCE, "enabled"), (ONCE, PLAIN, "disabled")])
def test_workers_that_run_are_rolled_twice(before: dict[str, Any], after: dict[str, Any], end: str) -> None:
    """The second rollout waits until the first has reached every pod."""
    world = that_wants(passed(passed(that_wants(worlds.connect_world(), before))), after)
    assert support(world) == "preparing"
    halfway = passed(world)
    assert halfway.resource.status["exactlyOnce"] == "Preparing"
    assert connectcluster.plan(rolling(halfway), worlds.SETTINGS, worlds.NOW).actions == ()
    assert support(halfway) == end
    done = passed(passed(halfway))
    assert connectcluster.plan(done, worlds.SETTINGS, worlds.NOW).actions == ()
    assert done.resource.status.get("exactlyOnce") == ("Enabled" if end == "enabled" else None)


def test_a_change_of_mind_amid_a_rollout_goes_by_the_step_between() -> None:
    """Some pods may write in transactions then, others not know of them."""
    enabling = passed(passed(that_wants(passed(passed(that_wants(worlds.connect_world(), PLAIN))), ONCE)))
    assert enabling.resource.status["exactlyOnce"] == "Preparing"
    assert support(that_wants(rolling(enabling), PLAIN)) == "preparing"


def test_connectors_demand_it_while_all_workers_write_once() -> None:
    """Kafka Connect refuses a plug-in that cannot, in the condition Accepted; what a Connector says itself wins."""
    for told, wanted in (("Enabled", "required"), ("Preparing", None), (None, None)):
        cluster = dataclasses.replace(worlds.CONNECT, status={**worlds.CONNECT.status, "exactlyOnce": told})
        made = connector.wanted(worlds.CONNECTOR, "home", cluster=cluster)
        assert made is not None
        assert made.get("exactly.once.support") == wanted
        said = {**worlds.CONNECTOR.spec, "config": {"exactly.once.support": "requested"}}
        made = connector.wanted(dataclasses.replace(worlds.CONNECTOR, spec=said), "home", cluster=cluster)
        assert made is not None
        assert made["exactly.once.support"] == "requested"


def test_it_is_said_in_one_place() -> None:
    spec = {"kafka": "kafka", "workers": {"exactlyOnce": True, "config": {EXACTLY_ONCE: "enabled"}}}
    plan = connectcluster.plan(that_wants(worlds.connect_world(), spec), worlds.SETTINGS, worlds.NOW)
    assert "remove exactly.once.source.support from config" in condition(plan, "Accepted")["message"]
