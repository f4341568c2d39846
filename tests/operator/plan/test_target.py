"""What is said of the target of a Consumer, from what its pods tell."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from headrace_operator.observed.kafka import BacklogSeen, PodLoad
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Plan
from tests.operator import worlds
from tests.operator.worlds import NOW, condition

REFUSED = "builtins.ConnectionRefusedError"


def load(pod: str, failed_for: float | None = None, cause: str = REFUSED, *, idle: bool = False) -> PodLoad:
    since = None if failed_for is None else NOW - timedelta(seconds=failed_for)
    told = cause if since else ""
    return PodLoad(pod=pod, end=NOW, seconds=5, busy=0, handled=0, failed_since=since, cause=told, idle=idle)


def planned(*loads: PodLoad, **world: object) -> Plan:
    seen = BacklogSeen(at=NOW, partitions=(), loads=loads)
    return consumer.plan(worlds.consumer_world(**{"backlog": seen, **world}), worlds.SETTINGS, NOW)


def test_pods_that_find_it_to_fail_are_named_with_since_when_and_why() -> None:
    said = condition(planned(load("a"), load("b", 60), load("c", 90, "headrace.http.Status503")), "TargetHealthy")
    assert (said["status"], said["reason"]) == ("False", "TargetFails")
    assert "fails for 2 of 3 pods" in said["message"]
    assert f"since {(NOW - timedelta(seconds=90)).strftime('%Y-%m-%dT%H:%M:%SZ')}" in said["message"]
    assert said["message"].endswith(f"b ({REFUSED}), c (headrace.http.Status503).")


def test_many_pods_are_counted_and_a_few_named() -> None:
    said = condition(planned(*(load(f"pod-{number}", 9) for number in range(40))), "TargetHealthy")
    assert "fails for 40 of 40 pods" in said["message"]
    assert said["message"].endswith(
        "pod-0 (" + REFUSED + "), pod-1 (" + REFUSED + "), pod-2 (" + REFUSED + "), 37 more."
    )


@pytest.mark.parametrize(
    ("loads", "status", "reason"),
    [
        ((), "Unknown", "TargetUnknown"),
        ((load("a"),), "True", "TargetAnswers"),
        ((load("a", idle=True),), "True", "TargetAnswers"),
        ((load("a", 9), load("b")), "False", "TargetFails"),
        ((load("a", 9, idle=True), load("b")), "True", "TargetAnswers"),
        ((load("a", 9, idle=True),), "Unknown", "TargetUnknown"),
    ],
    ids=["no pod tells", "one works", "one is idle", "one of two fails", "one failed and went idle", "all went idle"],
)
def test_only_pods_that_have_records_to_give_know(loads: tuple[PodLoad, ...], status: str, reason: str) -> None:
    """A pod that was left without records while its target failed does not learn that it is back."""
    said = condition(planned(*loads), "TargetHealthy")
    assert (said["status"], said["reason"]) == (status, reason)


def test_while_kafka_does_not_answer_nobody_knows() -> None:
    said = condition(planned(backlog=Unknown(reason="no answer")), "TargetHealthy")
    assert (said["status"], said["reason"]) == ("Unknown", "KafkaUnreachable")


def test_each_change_is_an_event_and_ready_does_not_depend_on_it() -> None:
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, NOW)
    world = worlds.with_status(worlds.after_consumer(world, first.actions), first.status)
    notes = []
    for loads in ((load("a"),), (load("a", 5),), (load("a", 10),), (load("a"),)):
        seen = BacklogSeen(at=NOW, partitions=(), loads=loads)
        world = dataclasses.replace(world, backlog=seen)
        plan = consumer.plan(world, worlds.SETTINGS, NOW)
        assert condition(plan, "Ready")["status"] == "True"
        notes.append([(note.type, note.reason) for note in plan.notes if note.reason.startswith("Target")])
        world = worlds.with_status(world, plan.status)
    assert notes == [[("Normal", "TargetAnswers")], [("Warning", "TargetFails")], [], [("Normal", "TargetAnswers")]]
