"""Why fewer pods run than are wanted: refused, unable to start, ended, or on their way for too long."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from datetime import datetime, timedelta

from headrace import names as kafka_names
from headrace_operator.observed.kube import Ended, Manifest, PodSeen
from headrace_operator.plan.conditions import Finding, false, timestamp
from headrace_operator.plan.pods import rollout
from headrace_operator.plan.reasons import Reason

STARTING = frozenset({None, "ContainerCreating", "PodInitializing"})
"""Words for waiting that every pod says for a while."""

WITHOUT_NODE = frozenset({"Unschedulable", "SchedulingGated"})
NODES = timedelta(minutes=2)
"""How long a pod beside others that run may wait for a node: one may be on its way."""

PULLING = timedelta(minutes=2)
"""How long a pod may take until its container starts, beside what that takes to answer: a large image."""

HEAP = "java.lang.OutOfMemoryError"
KILLED = frozenset({128 + signal.SIGKILL, 128 + signal.SIGTERM})


def shortage(
    deployment: Manifest, pods: Sequence[PodSeen], *, rolled: bool, now: datetime, memory: str = ""
) -> Finding | None:
    """Say what keeps pods that are wanted from running; None when all run, or some do and others are on their way.

    `memory` is the field to raise when a container runs out of it, if there is one.
    """
    wanted, ready, _ = rollout(deployment)
    if rolled and ready >= wanted > 0:
        return None
    counted = f"{ready} of {wanted} pods are ready"
    if refusal := _refusal(deployment):
        return false("Deployed", Reason.PODS_REFUSED, f"{counted}; the cluster refuses more: {refusal}")
    patient = rolled and ready > 0
    longest = PULLING + _startup(deployment)
    said_of = (_complaint(pod, patient, now, longest, memory) for pod in _standing(pods))
    if complaint := next((said for said in said_of if said), None):
        return false("Deployed", Reason.PODS_FAILING, complaint if ready == 0 else f"{counted}. {complaint}")
    older = "; those of an earlier template are being replaced" if ready >= wanted > 0 else ""
    return None if patient else false("Deployed", Reason.ROLLING_OUT, f"{counted}{older}.{_since(pods)}")


def _standing(pods: Sequence[PodSeen]) -> Sequence[PodSeen]:
    """Leave out pods that are over (evicted, turned away by a node) and were replaced."""
    return [pod for pod in pods if pod.phase not in ("Failed", "Succeeded")] or pods


def _refusal(deployment: Manifest) -> str | None:
    """Return in whose words the cluster refuses to make pods: a quota, a range of limits, an admission."""
    conditions = (deployment.get("status") or {}).get("conditions") or ()
    failures = (one for one in conditions if one["type"] == "ReplicaFailure" and one["status"] == "True")
    return next((str(one.get("message") or one.get("reason")) for one in failures), None)


def _startup(deployment: Manifest) -> timedelta:
    """Return how long the started containers of a pod may take to answer."""
    containers = deployment["spec"].get("template", {}).get("spec", {}).get("containers") or ()
    probes = [one.get("startupProbe") or {} for one in containers]
    return timedelta(
        seconds=max((one.get("failureThreshold", 0) * one.get("periodSeconds", 0) for one in probes), default=0)
    )


def _complaint(pod: PodSeen, patient: bool, now: datetime, longest: timedelta, memory: str) -> str | None:
    if pod.ready:
        return None
    age = now - pod.since if pod.since else timedelta(0)
    if pod.waiting_reason in WITHOUT_NODE:
        return None if patient and age < NODES else _told(pod, memory)
    if pod.waiting_reason not in STARTING or pod.restarts or (pod.message and pod.phase != "Running"):
        return _told(pod, memory)
    if pod.since and age > longest:
        return f"Pod {pod.name} was made at {timestamp(pod.since)} and is not ready yet: see its log and its events."
    return None


def _told(pod: PodSeen, memory: str) -> str:
    """Return what a pod says: how it is, how it ended and with what, what that means, and its last line."""
    is_plain = pod.ended is not None and pod.waiting_reason in (None, pod.ended.reason)
    lines = (pod.message or "").strip().splitlines()
    said = lines[-1] if lines else "see its log"
    handling = said if pod.ended and said.startswith(kafka_names.HANDLING) else ""
    parts = (
        None if is_plain else pod.waiting_reason or pod.phase,
        pod.ended and _ended(pod.ended, pod.message or "", memory, handling),
        None if handling else said,
    )
    return ": ".join((f"Pod {pod.name}", *(part for part in parts if part)))


def _ended(ended: Ended, message: str, memory: str, handling: str) -> str:
    raise_it = f" (raise {memory})" if memory else ""
    code = f"ended with {ended.code}"
    while_handling = f" {handling}" if handling else ""
    if ended.reason == "OOMKilled":
        return f"{code} (OOMKilled){while_handling}, its memory was used up{raise_it}"
    if HEAP in message:
        return f"{code}, the JVM's heap was used up{raise_it}"
    if ended.code in KILLED:
        return f"{code} ({_signal(ended.code)}){while_handling}, as a container does whose probe failed"
    return f"{code} ({_signal(ended.code)}){while_handling}" if ended.code > 128 else f"{code}{while_handling}"


def _signal(code: int) -> str:
    try:
        return signal.Signals(code - 128).name
    except ValueError:
        return f"signal {code - 128}"


def _since(pods: Sequence[PodSeen]) -> str:
    """Say which pod that is not ready has been starting longest."""
    starting = [(pod.since, pod.name) for pod in pods if pod.since and not pod.ready]
    return f" Pod {min(starting)[1]} has been starting since {timestamp(min(starting)[0])}." if starting else ""
