"""Keys that wait behind dead letters, as the plan of a Consumer says them."""

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


def part(number: int, keys: int = 0, stopped: StopSeen | None = None) -> PartitionSeen:
    return PartitionSeen(
        topic=worlds.TOPIC,
        partition=number,
        start=0,
        end=1050,
        committed=1040,
        lag_seconds=None,
        waiting_keys=keys,
        stopped=stopped,
    )


def planned(*parts: PartitionSeen, action: str | None = "ParkKey") -> Plan:
    """Return the plan of a Consumer that runs, of whose partitions this is seen."""
    world = statuses.settled("Consumer")
    spec = {**worlds.CONSUMER.spec, **({"delivery": {"onDeadLetter": {"action": action}}} if action else {})}
    seen = BacklogSeen(at=worlds.NOW, partitions=parts)
    return consumer.plan(statuses.changed(world, spec=spec, backlog=seen), worlds.SETTINGS, worlds.NOW)


def test_it_is_said_how_many_wait_and_how_they_go_on() -> None:
    plan = planned(part(3, 2), part(4), part(5, 10))

    said = condition(plan, "KeysProceed")
    assert (said["status"], said["reason"]) == ("False", "DeadLetterParksKeys")
    assert said["message"].startswith("12 keys wait behind a dead letter")
    assert f"in {worlds.TOPIC}/3, {worlds.TOPIC}/5;" in said["message"]
    assert "headrace redrive billing -n shop" in said["message"]
    assert condition(plan, "Ready")["reason"] != "DeadLetterParksKeys"
    assert any(note.type == "Warning" and note.reason == "DeadLetterParksKeys" for note in plan.notes)
    assert "PartitionsProceed" not in {one["type"] for one in plan.status["conditions"]}


def test_that_none_waits_is_said_as_well() -> None:
    said = condition(planned(part(3), part(4)), "KeysProceed")

    assert (said["status"], said["reason"]) == ("True", "KeysProceed")


def test_a_partition_of_which_no_key_can_wait_alone_is_told_as_one_that_stands() -> None:
    said = condition(planned(part(3, stopped=StopSeen("4/12", 1031))), "PartitionsProceed")

    assert (said["status"], said["reason"]) == ("False", "DeadLetterStops")
    assert "onDeadLetter.action: ParkKey" in said["message"]


@pytest.mark.parametrize("action", [None, "Skip", "Stop"])
def test_where_it_is_not_wanted_nothing_is_said(action: str | None) -> None:
    plan = planned(part(3, 2), action=action)

    assert "KeysProceed" not in {one["type"] for one in plan.status["conditions"]}


def test_records_that_come_of_a_key_that_waits_are_work() -> None:
    assert part(3, 2).workable == 10


def test_the_pods_are_told_what_is_wanted() -> None:
    delivery = {"delivery": {"onDeadLetter": {"action": "ParkKey"}}}
    edited = dataclasses.replace(worlds.CONSUMER, spec={**worlds.CONSUMER.spec, **delivery})

    plan = consumer.plan(worlds.consumer_world(resource=edited), worlds.SETTINGS, worlds.NOW)

    made = [action.manifest for action in plan.actions if isinstance(action, Apply)]
    [document] = [one["data"]["config.json"] for one in made if one["kind"] == "ConfigMap"]
    assert contract.load(document).delivery.on_dead_letter.action == "ParkKey"
