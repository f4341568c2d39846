"""Committed offsets that no longer exist, as the plan of a Consumer says them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace import config as contract
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Apply, Plan
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition

pytestmark = pytest.mark.case("delivery-20")

PASSED: dict[str, Any] = {"start": 15, "end": 20, "committed": 10}
ANEW: dict[str, Any] = {"start": 0, "end": 4, "committed": 100}
EMPTY: dict[str, Any] = {"start": 20, "end": 20, "committed": 10}


def part(number: int = 0, **seen: Any) -> PartitionSeen:
    return PartitionSeen(topic=worlds.TOPIC, partition=number, lag_seconds=None, **seen)


def planned(*parts: PartitionSeen, wish: str | None = None) -> Plan:
    """Return the plan of a Consumer that runs, of whose partitions this is seen."""
    world = statuses.settled("Consumer")
    spec = {**worlds.CONSUMER.spec, **({"delivery": {"onOffsetLost": wish}} if wish else {})}
    seen = BacklogSeen(at=worlds.NOW, partitions=parts)
    return consumer.plan(statuses.changed(world, spec=spec, backlog=seen), worlds.SETTINGS, worlds.NOW)


@pytest.mark.parametrize(("seen", "log"), [(PASSED, "15 to 20"), (ANEW, "0 to 4"), (EMPTY, "20 to 20")])
def test_it_is_said_with_both_offsets_and_the_command_that_goes_on(seen: dict[str, Any], log: str) -> None:
    plan = planned(part(3, **seen, lost=True), part(4, start=0, end=9, committed=9))

    said = condition(plan, "OffsetsExist")
    assert (said["status"], said["reason"]) == ("False", "OffsetLost")
    assert f"{worlds.TOPIC}/3: {seen['committed']} is committed, the log has {log}." in said["message"]
    edit = """--type merge -p '{"spec":{"delivery":{"onOffsetLost":"Earliest"}}}'"""
    assert f"kubectl -n shop patch hrc billing {edit}" in said["message"]
    ready = condition(plan, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "OffsetLost")
    assert any(note.type == "Warning" and note.reason == "OffsetLost" for note in plan.notes)


def test_a_pod_that_is_not_ready_for_it_is_not_said_to_be_starting() -> None:
    world = statuses.settled("Consumer")
    seen = BacklogSeen(at=worlds.NOW, partitions=(part(**PASSED, lost=True),))
    objects = {
        at: {**made, "status": {**made["status"], "readyReplicas": 0}} if at[0] == "Deployment" else made
        for at, made in world.children.objects.items()
    }
    children = dataclasses.replace(world.children, objects=objects)

    plan = consumer.plan(statuses.changed(world, backlog=seen, children=children), worlds.SETTINGS, worlds.NOW)

    assert condition(plan, "Ready")["reason"] == "OffsetLost"


@pytest.mark.parametrize("wish", ["Earliest", "Latest"])
def test_one_that_goes_on_by_itself_needs_no_command(wish: str) -> None:
    said = condition(planned(part(**PASSED, lost=True), wish=wish), "OffsetsExist")

    assert f"the pods go on elsewhere (spec.delivery.onOffsetLost: {wish})" in said["message"]
    assert "kubectl" not in said["message"]


def test_many_are_counted() -> None:
    said = condition(planned(*(part(number, **PASSED, lost=True) for number in range(9))), "OffsetsExist")

    assert f"{worlds.TOPIC}/2: " in said["message"]
    assert said["message"].endswith("; and 6 more.")


def test_no_lag_is_told_where_none_is_known_and_none_of_it_scales() -> None:
    plan = planned(part(**EMPTY, lost=True))

    assert plan.status["lag"] == {"retryRecords": 0, "partitions": []}
    within = condition(plan, "WithinTarget")
    assert (within["status"], within["reason"]) == ("Unknown", "OffsetLost")
    assert all(seen.workable == 0 for seen in (part(**PASSED, lost=True), part(**ANEW, lost=True)))


@pytest.mark.parametrize(("seen", "lag"), [(PASSED, 5), (ANEW, 4)])
def test_all_that_the_log_has_waits(seen: dict[str, Any], lag: int) -> None:
    assert planned(part(**seen, lost=True)).status["lag"]["records"] == lag


def test_a_record_that_waits_too_long_elsewhere_is_still_said() -> None:
    late = dataclasses.replace(part(1, start=0, end=9, committed=0), lag_seconds=900.0)

    plan = planned(part(**EMPTY, lost=True), late)

    assert condition(plan, "WithinTarget")["reason"] == "AboveTarget"
    assert plan.status["lag"]["records"] == 9


def test_no_series_says_that_nothing_lags() -> None:
    fleet = Fleet()
    seen = BacklogSeen(at=worlds.NOW, partitions=(part(0, **EMPTY, lost=True), part(1, **PASSED, lost=True)))
    fleet.record(worlds.CONSUMER, planned(*seen.partitions).status, seen)

    lags = [
        (sample.labels["partition"], sample.value)
        for family in fleet.registry.collect()
        for sample in family.samples
        if sample.name == "headrace_consumer_lag_messages"
    ]
    assert lags == [("1", 5.0)]


@pytest.mark.parametrize(("wish", "told"), [(None, "Stop"), ("Stop", "Stop"), ("Earliest", "Earliest")])
def test_the_pods_are_told_what_is_wanted(wish: str | None, told: str) -> None:
    delivery = {"delivery": {"onOffsetLost": wish}} if wish else {}
    edited = dataclasses.replace(worlds.CONSUMER, spec={**worlds.CONSUMER.spec, **delivery})

    plan = consumer.plan(worlds.consumer_world(resource=edited), worlds.SETTINGS, worlds.NOW)

    made = [action.manifest for action in plan.actions if isinstance(action, Apply)]
    [document] = [one["data"]["config.json"] for one in made if one["kind"] == "ConfigMap"]
    assert contract.load(document).delivery.on_offset_lost == told
