"""What a pass that is asked for does beyond others: what is seldom looked at is, and restarts are counted anew."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from headrace_operator.handlers.rings import Rings
from headrace_operator.plan.actions import RestartConnector
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.turns import Key
from tests.operator import worlds
from tests.operator.plan import statuses

pytestmark = pytest.mark.case("clusters-13")


def given_up() -> Any:
    """Return a world of a Connector that was restarted as often as is allowed."""
    spec = {**worlds.CONNECTOR.spec, "restart": {"maxAttempts": 3}}
    world = statuses.changed(statuses.settled("Connector"), **statuses.connector_that("RUNNING", "FAILED", spec))
    restarts = {"attempts": 3, "lastTime": (worlds.NOW - timedelta(minutes=9)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    return worlds.with_status(world, {**world.resource.status, "observedGeneration": 2, "restarts": restarts})


def asked(world: Any, word: str) -> Any:
    """Return the world with a request."""
    return dataclasses.replace(world, resource=dataclasses.replace(world.resource, requested=word))


def test_restarts_that_were_used_up_are_counted_anew_once() -> None:
    world = asked(given_up(), "now")
    first = statuses.planned(world)
    handled = {**first.status, "lastHandledRequest": "now", "restarts": given_up().resource.status["restarts"]}
    again = statuses.planned(worlds.with_status(world, handled))

    assert worlds.condition(statuses.planned(given_up()), "Stalled")["reason"] == "RestartsExhausted"
    assert worlds.condition(first, "Stalled") == {}
    assert first.status["restarts"]["attempts"] == 0
    assert "nextTime" in first.status["restarts"]
    assert worlds.condition(again, "Stalled")["reason"] == "RestartsExhausted"


def test_what_follows_is_a_restart() -> None:
    world = asked(given_up(), "now")
    first = statuses.planned(world)
    later = worlds.with_status(world, {**first.status, "lastHandledRequest": "now"})
    plan = statuses.PLANS["Connector"](later, worlds.SETTINGS, worlds.NOW + timedelta(seconds=6))

    assert [type(action) for action in plan.actions] == [RestartConnector]


def test_settings_of_topics_are_looked_at_though_they_were_right_a_moment_ago() -> None:
    history = History()
    history.settings.take("topics", {}, worlds.NOW, is_right=True)
    history.settings.take("topics", {}, worlds.NOW, is_right=True)
    assert not history.settings.due("topics", worlds.NOW)

    history.look_anew()

    assert history.settings.due("topics", worlds.NOW)


@pytest.mark.parametrize(("before", "after", "rings"), [(None, "1", True), ("1", "2", True), ("1", "1", False)])
def test_a_request_rings_and_no_other_annotation_does(before: str | None, after: str, rings: bool) -> None:
    heard: list[Key] = []
    bell = Rings(lambda key, _: heard.append(key))
    for count, word in enumerate((before, after)):
        heard.clear()
        asking = {} if word is None else {"headrace.dev/requested-at": word}
        metadata = {"namespace": "shop", "name": "kafka", "uid": "u", "generation": 1}
        bell.resource(
            "KafkaConnection", {"metadata": {**metadata, "annotations": {"of": str(count), **asking}}}, deleted=False
        )

    assert (heard == [Key("KafkaConnection", "shop", "kafka")]) is rings
