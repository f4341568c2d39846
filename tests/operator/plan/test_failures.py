"""A failing action is shown by the conditions, steadily, and for no longer than there is something to do."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from headrace_operator.observed.value import Unknown
from headrace_operator.plan import connectcluster, consumer, failures
from headrace_operator.plan.actions import Plan
from tests.operator import worlds
from tests.operator.plan import statuses

REFUSED = "Could not apply Deployment billing-consumer: the Kubernetes API server answered 403: exceeded quota: shop"


def conditions(plan: Plan) -> dict[str, Any]:
    return {found["type"]: (found["status"], found["reason"], found["message"]) for found in plan.status["conditions"]}


def failing(world: Any, sentence: str | None = REFUSED, later: int = 0) -> Plan:
    now = worlds.NOW + timedelta(seconds=later)
    plan = consumer.plan(world, worlds.SETTINGS, now)
    return failures.shown(plan, world.resource, failures.standing(plan, sentence), now)


def test_a_failure_says_why_the_resource_is_not_ready() -> None:
    plan = failing(worlds.consumer_world())

    assert conditions(plan)["Ready"] == ("False", "ActionFailed", REFUSED)
    assert conditions(plan)["Reconciling"] == ("True", "ActionFailed", REFUSED)
    assert [note.reason for note in plan.notes if note.type == "Warning"].count("ActionFailed") == 1


def test_a_steady_failure_writes_nothing_and_tells_nothing_again() -> None:
    world = worlds.consumer_world()
    first = failing(world)
    again = failing(worlds.with_status(world, first.status), later=60)

    assert again.status["conditions"] == first.status["conditions"]
    assert again.notes == ()


def test_a_status_shows_its_failure_to_the_next_operator() -> None:
    world = worlds.consumer_world()
    world = worlds.with_status(world, failing(world).status)

    assert failures.recorded(world.resource) == REFUSED
    assert failures.recorded(worlds.CONSUMER) is None


def test_nothing_is_shown_when_nothing_is_left_to_do() -> None:
    world = worlds.consumer_world()
    shown = failing(world)
    world = worlds.with_status(worlds.after_consumer(world, shown.actions), shown.status)

    plan = failing(world)

    assert plan.actions == ()
    assert conditions(plan)["Ready"][0] == "True"
    assert "Reconciling" not in conditions(plan)


@pytest.mark.parametrize("kind", statuses.WORLDS)
def test_none_outlasts_what_is_settled_though_no_agent_tells_of_the_database(kind: str) -> None:
    """An answer that was lost once would be a Connector's last word for ever."""
    world = statuses.settled(kind)

    assert failures.standing(statuses.planned(world), REFUSED) is None


def test_a_failure_stays_while_it_is_unknown_whether_there_is_something_to_do() -> None:
    world = worlds.consumer_world()
    world = worlds.with_status(world, failing(world).status)

    plan = failing(dataclasses.replace(world, topics=Unknown(reason="no answer"), children=Unknown(reason="no answer")))

    assert plan.actions == ()
    assert conditions(plan)["Ready"] == ("False", "ActionFailed", REFUSED)
    assert "ActionFailed" not in {note.reason for note in plan.notes}


def test_what_is_ready_stays_ready_and_says_what_it_tries() -> None:
    world = worlds.connect_world()
    world = worlds.after_connect(world, connectcluster.plan(world, worlds.SETTINGS, worlds.NOW).actions)
    world = dataclasses.replace(world, **worlds.lost("shop.gone"))
    plan = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)

    shown = failures.shown(plan, world.resource, "Could not remove connector shop.gone: busy", worlds.NOW)

    assert conditions(shown)["Ready"][0] == "True"
    assert conditions(shown)["Reconciling"][1:] == ("ActionFailed", "Could not remove connector shop.gone: busy")


def test_a_refused_edit_stays_stalled_while_the_last_accepted_spec_cannot_be_healed() -> None:
    world = worlds.consumer_world()
    world = worlds.with_status(world, consumer.plan(world, worlds.SETTINGS, worlds.NOW).status)
    world = dataclasses.replace(
        world, resource=dataclasses.replace(world.resource, spec={"nonsense": True}, generation=2)
    )

    shown = conditions(failing(world))

    assert shown["Ready"] == ("False", "ActionFailed", REFUSED)
    assert shown["Stalled"][1] == "InvalidSpec"
    assert "Reconciling" not in shown
