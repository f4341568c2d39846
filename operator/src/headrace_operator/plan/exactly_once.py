"""Exactly-once of source connectors: how workers come to it, step by step, and what their connectors then demand.

Workers that do not know of it must not run beside such as write in transactions; between the two all of them are
``preparing`` (KIP-618). So each change is two rollouts, of which the second begins when the first has reached all pods.
How far that is stands on the pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from headrace_operator.api.connectcluster import EXACTLY_ONCE, ConnectClusterSpec
from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.observed.world import Reference
from headrace_operator.plan import pods

ANNOTATION = "headrace.dev/exactly-once"
REQUIRED = {"exactly.once.support": "required"}
"""What has Kafka Connect refuse a connector whose plug-in cannot write in its transactions."""

Step = Literal["disabled", "preparing", "enabled"]


def step(spec: ConnectClusterSpec, live: Manifest | None) -> Step:
    """Return what the workers' pods are to be next, where those of the ``live`` Deployment are."""
    goal: Step = "enabled" if spec.own.exactly_once else "disabled"
    if live is None:
        return goal
    present = _step(live)
    if present == goal or (present == "preparing" and pods.rollout(live)[2]):
        return goal
    return "preparing"


def laid_over(spec: ConnectClusterSpec, step: Step) -> ConnectClusterSpec:
    """Return the spec whose workers are at this step."""
    if spec.workers is None or step == "disabled":
        return spec
    workers = spec.workers.model_copy(update={"config": {**(spec.workers.config or {}), EXACTLY_ONCE: step}})
    return spec.model_copy(update={"workers": workers})


def annotation(step: Step) -> dict[str, str]:
    """Return the annotation of pods by which the step is known again."""
    return {} if step == "disabled" else {ANNOTATION: step}


def told(spec: ConnectClusterSpec | None, live: Manifest | None) -> Literal["Preparing", "Enabled"] | None:
    """Return what a status says: as soon as workers shall leave it, connectors must demand it no longer."""
    present: Step = "disabled" if live is None else _step(live)
    coming = present if spec is None else step(spec, live)
    if present == coming == "disabled":
        return None
    return "Enabled" if present == coming == "enabled" and pods.rollout(live)[2] else "Preparing"


def demanded(cluster: Reference | None) -> Mapping[str, str]:
    """Return what a connector demands of the ``cluster`` that it runs on: nothing before all workers are there."""
    is_there = isinstance(cluster, Resource) and cluster.status.get("exactlyOnce") == "Enabled"
    return REQUIRED if is_there else {}


def _step(live: Mapping[str, Any]) -> Step:
    found: Mapping[str, Step] = {one: one for one in ("preparing", "enabled")}
    return found.get(pods.annotated(live).get(ANNOTATION, ""), "disabled")
