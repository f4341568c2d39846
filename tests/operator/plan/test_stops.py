"""Partitions that stand behind a dead letter, as the plan of a Consumer says them."""

from __future__ import annotations

import dataclasses

import pytest

from headrace import config as contract
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen, StopSeen
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Apply, Plan
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition

STANDS = StopSeen("4/12", 1031)


def part(number: int = 0, stopped: StopSeen | None = None) -> PartitionSeen:
    return PartitionSeen(
        topic=worlds.TOPIC, partition=number, start=0, end=1050, committed=1040, lag_seconds=None, stopped=stopped
    )


def planned(*parts: PartitionSeen, action: str | None = "Stop") -> Plan:
    """Return the plan of a Consumer that runs, of whose partitions this is seen."""
    world = statuses.settled("Consumer")
    spec = {**worlds.CONSUMER.spec, **({"delivery": {"onDeadLetter": {"action": action}}} if action else {})}
    seen = BacklogSeen(at=worlds.NOW, partitions=parts)
    return consumer.plan(statuses.changed(world, spec=spec, backlog=seen), worlds.SETTINGS, worlds.NOW)


def test_it_is_said_which_record_it_is_and_how_to_go_on() -> None:
    plan = planned(part(3, STANDS), part(4))

    said = condition(plan, "PartitionsProceed")
    assert (said["status"], said["reason"]) == ("False", "DeadLetterStops")
    assert f"{worlds.TOPIC}/3 behind 4/12, the record at offset 1031." in said["message"]
    assert "headrace dlq show billing 4/12 -n shop" in said["message"]
    assert "headrace redrive billing --offset 4/12 -n shop" in said["message"]
    assert condition(plan, "Ready")["reason"] != "DeadLetterStops"
    assert any(note.type == "Warning" and note.reason == "DeadLetterStops" for note in plan.notes)


def test_many_are_counted() -> None:
    said = condition(planned(*(part(number, STANDS) for number in range(9))), "PartitionsProceed")

    assert f"{worlds.TOPIC}/2 behind" in said["message"]
    assert "; and 6 more. " in said["message"]


def test_nothing_that_stands_is_said_as_well() -> None:
    said = condition(planned(part(3), part(4)), "PartitionsProceed")

    assert (said["status"], said["reason"]) == ("True", "PartitionsProceed")


@pytest.mark.parametrize("action", [None, "Skip"])
def test_where_it_is_not_wanted_nothing_is_said(action: str | None) -> None:
    plan = planned(part(3, STANDS), action=action)

    assert "PartitionsProceed" not in {one["type"] for one in plan.status["conditions"]}


def test_no_replica_is_added_for_what_stands() -> None:
    assert (part(3, STANDS).workable, part(3).workable) == (0, 10)


@pytest.mark.parametrize(("action", "told"), [(None, "Skip"), ("Skip", "Skip"), ("Stop", "Stop")])
def test_the_pods_are_told_what_is_wanted(action: str | None, told: str) -> None:
    delivery = {"delivery": {"onDeadLetter": {"action": action}}} if action else {}
    edited = dataclasses.replace(worlds.CONSUMER, spec={**worlds.CONSUMER.spec, **delivery})

    plan = consumer.plan(worlds.consumer_world(resource=edited), worlds.SETTINGS, worlds.NOW)

    made = [action.manifest for action in plan.actions if isinstance(action, Apply)]
    [document] = [one["data"]["config.json"] for one in made if one["kind"] == "ConfigMap"]
    assert contract.load(document).delivery.on_dead_letter.action == told
