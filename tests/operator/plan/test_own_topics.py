"""A Consumer's own topics: what they are made with, what is mended, and what is told where nothing can be mended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from headrace_operator.observed.kafka import SettingsSeen, TopicSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConsumerWorld
from headrace_operator.plan import consumer, own_topics
from headrace_operator.plan.actions import AlterTopic, CreateTopic, GrowTopic
from tests.operator import worlds
from tests.operator.worlds import condition

RETRY, DEAD, RESOLUTIONS = "retry.shop.billing", "dlq.shop.billing", "dlq.shop.billing.resolutions"


def made() -> ConsumerWorld:
    """Return a Consumer's world after its first pass."""
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    return worlds.with_status(worlds.after_consumer(world, first.actions), first.status)


def set_to(world: ConsumerWorld, topic: str, change: Mapping[str, str] | Unknown, fresh: bool = True) -> ConsumerWorld:
    before = world.settings.of[topic]
    found = change if isinstance(change, Unknown) or isinstance(before, Unknown) else {**before, **change}
    return dataclasses.replace(world, settings=SettingsSeen(of={**world.settings.of, topic: found}, fresh=fresh))


@pytest.mark.case("delivery-2")
def test_they_are_made_with_all_that_delivery_rests_on() -> None:
    """Kept for ever, as large as the source's records with headers of ours, and replicated as the source."""
    plan = consumer.plan(worlds.consumer_world(), worlds.SETTINGS, worlds.NOW)

    created = {action.topic: action for action in plan.actions if isinstance(action, CreateTopic)}
    forever = {"retention.ms": "-1", "retention.bytes": "-1", "min.insync.replicas": "2"}
    large = {"cleanup.policy": "delete", "max.message.bytes": str(1_048_588 + 65_536), **forever}
    assert {name: dict(one.config) for name, one in created.items()} == {
        RETRY: large,
        DEAD: large,
        RESOLUTIONS: {"cleanup.policy": "compact", **forever},
    }
    assert {one.replicas for one in created.values()} == {3}
    assert condition(consumer.plan(made(), worlds.SETTINGS, worlds.NOW), "TopicsKept")["status"] == "True"


@pytest.mark.case("delivery-2")
@pytest.mark.parametrize(
    ("topic", "name", "value", "mended"),
    [
        (DEAD, "cleanup.policy", "compact", "delete"),
        (RETRY, "retention.ms", "10000", "-1"),
        (RETRY, "retention.bytes", "1000", "-1"),
        (RESOLUTIONS, "cleanup.policy", "delete", "compact"),
        (DEAD, "max.message.bytes", "1048588", "1114124"),
        (RETRY, "min.insync.replicas", "1", "2"),
    ],
)
def test_what_differs_is_mended_and_told_with_name_and_value(topic: str, name: str, value: str, mended: str) -> None:
    world = set_to(made(), topic, {name: value})

    plan = consumer.plan(world, worlds.SETTINGS, worlds.NOW)

    altered = [action for action in plan.actions if isinstance(action, AlterTopic)]
    assert [(one.topic, dict(one.config)) for one in altered] == [(topic, {name: mended})]
    said = condition(plan, "TopicsKept")
    assert (said["status"], said["reason"]) == ("False", "SettingsDiffer")
    assert f"{topic} has {name}={value}" in said["message"]
    assert condition(plan, "Ready")["status"] == "True"
    after = consumer.plan(worlds.after_consumer(world, plan.actions), worlds.SETTINGS, worlds.NOW)
    assert after.actions == ()
    assert condition(after, "TopicsKept")["status"] == "True"


@pytest.mark.case("delivery-2")
def test_settings_that_are_more_than_needed_stay() -> None:
    world = set_to(made(), DEAD, {"max.message.bytes": "9000000", "min.insync.replicas": "3", "segment.ms": "1"})

    assert consumer.plan(world, worlds.SETTINGS, worlds.NOW).actions == ()


@pytest.mark.case("delivery-2")
def test_a_login_that_may_not_mend_is_asked_once_a_look_and_told_all_the_while() -> None:
    world = set_to(made(), DEAD, {"cleanup.policy": "compact"}, fresh=False)

    plan = consumer.plan(world, worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert "cleanup.policy=compact" in condition(plan, "TopicsKept")["message"]


@pytest.mark.case("delivery-2")
@pytest.mark.parametrize("topic", [RETRY, DEAD, RESOLUTIONS, worlds.TOPIC])
def test_settings_that_may_not_be_read_are_not_taken_for_right(topic: str) -> None:
    plan = consumer.plan(set_to(made(), topic, Unknown(reason="not authorized")), worlds.SETTINGS, worlds.NOW)

    said = condition(plan, "TopicsKept")
    assert (said["status"], said["reason"]) == ("Unknown", "SettingsUnknown")
    assert f"{topic}: not authorized" in said["message"]
    assert plan.actions == ()


@pytest.mark.case("delivery-2")
def test_what_cannot_be_altered_is_told() -> None:
    plan = consumer.plan(seen(made(), RETRY, replicas=1), worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert f"{RETRY} has 1 replicas where its source has 3" in condition(plan, "TopicsKept")["message"]


def seen(world: ConsumerWorld, topic: str, **change: Any) -> ConsumerWorld:
    assert isinstance(world.topics, Mapping)
    return dataclasses.replace(
        world, topics={**world.topics, topic: dataclasses.replace(world.topics[topic], **change)}
    )


@pytest.mark.case("delivery-15")
@pytest.mark.parametrize(
    ("topic", "partitions", "grown"),
    [(worlds.TOPIC, 24, {RETRY: 24, DEAD: 24}), (RETRY, 3, {RETRY: 12}), (DEAD, 1, {DEAD: 12}), (RETRY, 13, {})],
)
def test_they_grow_with_the_source(topic: str, partitions: int, grown: dict[str, int]) -> None:
    """Whether the source grew, or one of them was made by somebody else; one with more stays as it is."""
    world = seen(made(), topic, partitions=partitions)

    plan = consumer.plan(world, worlds.SETTINGS, worlds.NOW)

    assert {one.topic: one.partitions for one in plan.actions if isinstance(one, GrowTopic)} == grown
    said = condition(plan, "TopicsKept")
    assert said["status"] == ("False" if grown else "True")
    assert ("may run beside what still waits of its key" in said["message"]) == bool(grown)
    after = consumer.plan(worlds.after_consumer(world, plan.actions), worlds.SETTINGS, worlds.NOW)
    assert [one for one in after.actions if isinstance(one, GrowTopic)] == []
    assert condition(after, "TopicsKept")["status"] == "True"


@pytest.mark.case("delivery-15")
def test_they_have_as_many_partitions_as_the_largest_of_several_sources() -> None:
    own = own_topics.wanted(
        worlds.consumer_world().resource,
        ("a", "b"),
        {name: TopicSeen(name=name, partitions=count) for name, count in (("a", 3), ("b", 6))},
        {},
    )

    assert [one.partitions for one in own] == [6, 6, 1]
