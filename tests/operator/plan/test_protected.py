"""What protects pods is made before them, so that nothing refused afterwards leaves them open."""

from __future__ import annotations

import dataclasses

import pytest

from headrace_operator.observed.kube import Children
from headrace_operator.plan.actions import Apply
from headrace_operator.settings import EVERYWHERE
from tests.operator import worlds
from tests.operator.plan import statuses

PROTECTING = {
    "ConnectCluster": {"NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "ServiceAccount", "ConfigMap"},
    "Consumer": {"PodDisruptionBudget", "ServiceAccount", "ConfigMap"},
    "OutboxRelay": {"PodDisruptionBudget", "ServiceAccount", "ConfigMap"},
}


@pytest.mark.case("clusters-11")
@pytest.mark.parametrize("kind", PROTECTING)
def test_pods_come_after_all_that_protects_them(kind: str) -> None:
    plan = statuses.planned(statuses.WORLDS[kind]())
    made = [action.manifest["kind"] for action in plan.actions if isinstance(action, Apply)]

    assert set(made[: made.index("Deployment")]) == PROTECTING[kind]


@pytest.mark.parametrize("kind", ["Consumer", "OutboxRelay"])
def test_where_all_is_watched_each_has_a_policy_of_its_own(kind: str) -> None:
    """The chart makes one in each namespace that it knows; it is made before the pods that it selects."""
    everywhere = dataclasses.replace(worlds.SETTINGS, watch_namespaces=EVERYWHERE)
    world = statuses.WORLDS[kind]()
    plan = statuses.PLANS[kind](world, everywhere, worlds.NOW)
    made = {action.manifest["kind"]: action.manifest for action in plan.actions if isinstance(action, Apply)}
    policy, pod = made["NetworkPolicy"]["spec"], made["Deployment"]["spec"]["template"]
    names = [port["name"] for port in pod["spec"]["containers"][0]["ports"]]

    assert list(made)[-1] == "Deployment"
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == names
    seen = worlds.applied(Children(objects={}), plan.actions)
    again = statuses.PLANS[kind](dataclasses.replace(world, children=seen), everywhere, worlds.NOW)
    assert not [action for action in again.actions if isinstance(action, Apply)]
