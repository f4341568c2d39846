"""Which group protocol a Consumer's pods are told to use, and that it stays what it was."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import ConsumerWorld
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Apply
from headrace_operator.plan.group_protocol import LABEL
from tests.operator import worlds

BOTH = ("classic", "consumer", "streams")


def kafka(*protocols: str) -> Resource:
    """Return a KafkaConnection whose brokers allow these; none means that nobody may ask them."""
    status: dict[str, Any] = {"accepted": {"generation": 1, "spec": worlds.KAFKA_SPEC}}
    if protocols:
        status["features"] = {"groupProtocols": list(protocols)}
    return worlds.resource("KafkaConnection", "kafka", worlds.KAFKA_SPEC, status=status)


def planned(world: ConsumerWorld) -> tuple[str | None, str | None]:
    """Return the protocol that pods are told, and the one in the status."""
    plan = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    maps = [one.manifest for one in plan.actions if isinstance(one, Apply) and one.manifest["kind"] == "ConfigMap"]
    told = json.loads(maps[0]["data"]["config.json"])["group_protocol"] if maps else None
    return told, plan.status.get("groupProtocol")


def labelled(world: ConsumerWorld, wish: str, status: Mapping[str, Any] | None = None) -> ConsumerWorld:
    """Return the world of the Consumer with the label, and with this status."""
    labels = {**world.resource.labels, LABEL: wish}
    return dataclasses.replace(
        world, resource=dataclasses.replace(world.resource, labels=labels, status=status or world.resource.status)
    )


@pytest.mark.parametrize("connection", [kafka(*BOTH), kafka("classic"), kafka()])
def test_a_new_consumer_has_the_classic_protocol(connection: Resource) -> None:
    assert planned(worlds.consumer_world(kafka=connection)) == ("classic", "classic")


@pytest.mark.parametrize("kept", ["classic", "consumer"])
@pytest.mark.parametrize("connection", [kafka(*BOTH), kafka("classic"), kafka()])
def test_what_was_chosen_is_kept(kept: str, connection: Resource) -> None:
    world = worlds.with_status(worlds.consumer_world(kafka=connection), {"groupProtocol": kept})
    assert planned(world) == (kept, kept)


@pytest.mark.parametrize("connection", [kafka(*BOTH), kafka()])
@pytest.mark.parametrize(("wish", "kept"), [("consumer", "classic"), ("classic", "consumer")])
def test_a_label_changes_it(connection: Resource, wish: str, kept: str) -> None:
    world = labelled(worlds.consumer_world(kafka=connection), wish, {"groupProtocol": kept})
    assert planned(world) == (wish, wish)


@pytest.mark.parametrize(("wish", "connection"), [("consumer", kafka("classic")), ("streams", kafka(*BOTH))])
def test_a_label_that_cannot_be_followed_changes_nothing(wish: str, connection: Resource) -> None:
    world = labelled(worlds.consumer_world(kafka=connection), wish, {"groupProtocol": "classic"})
    assert planned(world) == ("classic", "classic")


def test_pods_are_replaced_by_the_label_alone() -> None:
    """The contract differs, so that the template does: what runs is rolled over."""
    world = worlds.consumer_world(kafka=kafka(*BOTH))
    assert planned(labelled(world, "classic")) != planned(labelled(world, "consumer"))
