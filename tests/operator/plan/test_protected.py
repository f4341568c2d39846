"""What protects pods is made before them, so that nothing refused afterwards leaves them open."""

from __future__ import annotations

import pytest

from headrace_operator.plan.actions import Apply
from tests.operator.plan import statuses

PROTECTING = {
    "ConnectCluster": {"NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "ServiceAccount", "ConfigMap"},
    "Consumer": {"PodDisruptionBudget", "ServiceAccount", "ConfigMap"},
}


@pytest.mark.case("clusters-11")
@pytest.mark.parametrize("kind", PROTECTING)
def test_pods_come_after_all_that_protects_them(kind: str) -> None:
    plan = statuses.planned(statuses.WORLDS[kind]())
    made = [action.manifest["kind"] for action in plan.actions if isinstance(action, Apply)]

    assert set(made[: made.index("Deployment")]) == PROTECTING[kind]
