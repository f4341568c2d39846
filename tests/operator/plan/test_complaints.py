"""Fewer pods than are wanted: what is told, in whose words, and what is merely on its way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from headrace_operator.observed.kube import Ended, PodSeen
from headrace_operator.plan import complaints
from tests.operator import worlds
from tests.operator.plan import statuses

QUOTA = (
    'pods "billing-consumer-7d" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=9, limited: pods=9'
)
WEBHOOK = 'admission webhook "limits.example.com" denied the request: spec.containers[0]: no seccomp'
SCHEDULER = "0/3 nodes are available: 3 Insufficient cpu."
RAISE = "(raise template.resources.limits.memory)"
DEPLOYMENTS = {"Consumer": "billing-consumer", "ConnectCluster": "main-connect"}


def pod(**changes: Any) -> PodSeen:
    """Return a pod that was made a second ago and starts."""
    known: dict[str, Any] = {
        "name": "billing-consumer-1", "phase": "Running", "ready": False, "restarts": 0, "waiting_reason": None,
        "message": None, "since": worlds.NOW - timedelta(seconds=1),
    }  # fmt: skip
    return PodSeen(**{**known, **changes})


def deployed(
    kind: str, *, ready: int, wanted: int, pods: Sequence[PodSeen] = (), refused: str | None = None
) -> tuple[str, str, str]:
    """Return the condition `Deployed` of a workload that was rolled out and has so many pods ready."""
    world = statuses.settled(kind)
    at = ("Deployment", DEPLOYMENTS[kind])
    live = world.children.objects[at]
    there = wanted if refused is None else ready
    status: dict[str, Any] = {
        "observedGeneration": 1,
        "replicas": there,
        "updatedReplicas": there,
        "readyReplicas": ready,
    }
    if refused:
        status["conditions"] = [
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
        ]
    live = {**live, "spec": {**live["spec"], "replicas": wanted}, "status": status}
    objects = {**world.children.objects, at: live}
    plan = statuses.planned(
        statuses.changed(world, children=dataclasses.replace(world.children, objects=objects, pods=tuple(pods)))
    )
    found = worlds.condition(plan, "Deployed")
    assert plan.status["replicasReady"] == f"{ready}/{wanted}"
    return found["status"], found["reason"], found["message"]


@pytest.mark.case("clusters-8")
@pytest.mark.parametrize("kind", DEPLOYMENTS)
@pytest.mark.parametrize(("ready", "wanted"), [(0, 1), (1, 3)])
@pytest.mark.parametrize("words", [QUOTA, WEBHOOK])
def test_what_the_cluster_refuses_is_told_in_its_words(kind: str, ready: int, wanted: int, words: str) -> None:
    said = deployed(kind, ready=ready, wanted=wanted, refused=words)

    assert said == ("False", "PodsRefused", f"{ready} of {wanted} pods are ready; the cluster refuses more: {words}")


@pytest.mark.case("clusters-8")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ended": Ended(code=137, reason="OOMKilled")}, f"ended with 137 (OOMKilled), its memory was used up {RAISE}"),
        ({"ended": Ended(code=139, reason="Error")}, "ended with 139 (SIGSEGV)"),
        (
            {"ended": Ended(code=137, reason="Error")},
            "ended with 137 (SIGKILL), as a container does whose probe failed",
        ),
        ({"ended": Ended(code=1, reason="Error")}, "ended with 1"),
    ],
)
def test_how_a_container_ended_comes_before_its_last_line(changes: dict[str, Any], words: str) -> None:
    log = "level=info msg=begins\nlevel=info msg=assigned\n"
    failing = pod(waiting_reason="CrashLoopBackOff", restarts=3, message=log, **changes)
    for ready, before in ((0, ""), (2, "2 of 3 pods are ready. ")):
        said = deployed("Consumer", ready=ready, wanted=3, pods=[failing])
        text = f"{before}Pod billing-consumer-1: CrashLoopBackOff: {words}: level=info msg=assigned"
        assert said == ("False", "PodsFailing", text)


@pytest.mark.case("delivery-19")
@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (
            Ended(code=137, reason="OOMKilled"),
            f"137 (OOMKilled) while handling orders/0@1, its memory was used up {RAISE}",
        ),
        (Ended(code=139, reason="Error"), "139 (SIGSEGV) while handling orders/0@1"),
        (Ended(code=3, reason="Error"), "3 while handling orders/0@1"),
        (
            Ended(code=137, reason="Error"),
            "137 (SIGKILL) while handling orders/0@1, as a container does whose probe failed",
        ),
    ],
)
def test_a_pod_that_ended_with_a_record_names_it(ended: Ended, words: str) -> None:
    failing = pod(waiting_reason="CrashLoopBackOff", restarts=3, ended=ended, message="while handling orders/0@1")
    said = deployed("Consumer", ready=0, wanted=1, pods=[failing])
    assert said == ("False", "PodsFailing", f"Pod billing-consumer-1: CrashLoopBackOff: ended with {words}")


@pytest.mark.case("clusters-8")
@pytest.mark.parametrize(
    ("ended", "message", "words"),
    [
        (Ended(code=137, reason="OOMKilled"), None, "137 (OOMKilled), its memory was used up"),
        (
            Ended(code=3, reason="Error"),
            '{"level":"INFO"}\nTerminating due to java.lang.OutOfMemoryError: Java heap space',
            "3, the JVM's heap was used up",
        ),
    ],
)
def test_workers_that_run_out_of_memory_name_the_field_to_raise(ended: Ended, message: str | None, words: str) -> None:
    failing = pod(waiting_reason="CrashLoopBackOff", restarts=1, message=message, ended=ended)
    status, reason, said = deployed("ConnectCluster", ready=0, wanted=1, pods=[failing])

    assert (status, reason) == ("False", "PodsFailing")
    assert f"ended with {words} (raise workers.resources.limits.memory): " in said


@pytest.mark.case("clusters-8")
def test_a_pod_without_a_node_has_the_schedulers_words_unless_a_node_may_be_on_its_way() -> None:
    young, old = (
        pod(
            phase="Pending",
            waiting_reason="Unschedulable",
            message=SCHEDULER,
            since=worlds.NOW - timedelta(minutes=age),
        )
        for age in (1, 3)
    )
    words = f"Pod billing-consumer-1: Unschedulable: {SCHEDULER}"

    assert deployed("Consumer", ready=0, wanted=1, pods=[young]) == ("False", "PodsFailing", words)
    assert deployed("Consumer", ready=1, wanted=3, pods=[young])[0] == "True"
    assert deployed("Consumer", ready=1, wanted=3, pods=[old]) == (
        "False", "PodsFailing", f"1 of 3 pods are ready. {words}",
    )  # fmt: skip


@pytest.mark.case("clusters-8")
def test_a_first_pod_that_starts_is_told_and_pods_of_a_scaling_keep_nothing_from_being_ready() -> None:
    begins = pod(phase="Pending", waiting_reason="ContainerCreating")

    assert deployed("Consumer", ready=0, wanted=1, pods=[begins])[1:] == (
        "RollingOut",
        "0 of 1 pods are ready. Pod billing-consumer-1 has been starting since 2026-01-02T03:04:04Z.",
    )
    assert deployed("Consumer", ready=1, wanted=3, pods=[begins, pod()])[0] == "True"


@pytest.mark.parametrize(("ready", "replaced"), [(1, False), (2, True)])
def test_a_rollout_whose_old_pods_are_all_ready_says_that_they_are_replaced(ready: int, replaced: bool) -> None:
    edited = {"metadata": {}, "spec": {"replicas": 2}, "status": {"readyReplicas": ready}}
    found = complaints.shortage(edited, (), rolled=False, now=worlds.NOW)

    assert found is not None
    assert ("of an earlier template are being replaced" in found.message) is replaced


def test_a_pod_that_never_becomes_ready_is_told_in_the_end() -> None:
    stuck = pod(since=worlds.NOW - timedelta(minutes=20))
    status, reason, said = deployed("Consumer", ready=1, wanted=2, pods=[stuck])

    assert (status, reason) == ("False", "PodsFailing")
    assert "Pod billing-consumer-1 was made at 2026-01-02T02:44:05Z and is not ready yet" in said


@pytest.mark.case("clusters-7")
@pytest.mark.parametrize(("failures", "standing"), [(600, True), (1200, False)])
def test_a_pod_may_start_as_long_as_its_template_says(failures: int, standing: bool) -> None:
    probe = {"startupProbe": {"periodSeconds": 1, "failureThreshold": failures}}
    made = {"metadata": {}, "spec": {"replicas": 1, "template": {"spec": {"containers": [probe]}}}}
    slow = pod(since=worlds.NOW - timedelta(minutes=20))
    found = complaints.shortage(made, [slow], rolled=False, now=worlds.NOW)

    assert found is not None
    assert (found.reason == "PodsFailing") is standing


def test_a_pod_that_is_over_and_was_replaced_says_nothing() -> None:
    evicted = pod(phase="Failed", waiting_reason="Evicted", message="The node was low on resource: memory.")

    assert deployed("Consumer", ready=1, wanted=2, pods=[evicted, pod()])[0] == "True"
    assert "Evicted: The node was low" in deployed("Consumer", ready=0, wanted=1, pods=[evicted])[2]
