"""A Consumer that handles nothing for a while, as `state: Paused` wants: no pod runs, and all else is kept."""

from __future__ import annotations

from headrace_operator.api.consumer import ConsumerSpec
from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.plan.conditions import Finding, false, true
from headrace_operator.plan.pods import rollout
from headrace_operator.plan.reasons import Reason

CONDITION = "Paused"


def is_wanted(spec: ConsumerSpec | None) -> bool:
    """Tell whether no record shall be handled."""
    return spec is not None and spec.state == "Paused"


def deployed(deployment: Manifest, *, rolled: bool) -> Finding:
    """Say whether every pod has been told to end; ``rolled`` is whether the Deployment is as it should be."""
    wanted, _, _ = rollout(deployment)
    left = max(wanted, int((deployment.get("status") or {}).get("replicas") or 0))
    if left or not rolled:
        text = f"Pods that finish what they have in hand and end, as state: Paused wants: {left}."
        return false("Deployed", Reason.ROLLING_OUT, text)
    return true("Deployed", Reason.PAUSED, "No pod runs, as state: Paused wants.")


def findings(resource: Resource, deployed: Finding) -> list[Finding]:
    """Say that records wait once no pod is left: the condition is there only while it is so, or not known otherwise."""
    was = resource.condition(CONDITION) is not None
    if deployed.reason != Reason.PAUSED and not (was and deployed.status == "Unknown"):
        return []
    text = (
        f"Records wait, as state: Paused wants. To go on: headrace resume {resource.name} -n {resource.namespace}; in "
        "time, as Kafka forgets offsets of a group without members (offsets.retention.minutes, 7 days unless set)."
    )
    return [true(CONDITION, Reason.PAUSED, text)]
