"""Where the commands that make good for dead letters may go, and what pods are told of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace import config as contract
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Apply, Plan
from tests.operator import worlds
from tests.operator.worlds import condition


def planned(compensate: dict[str, Any]) -> Plan:
    delivery = {"delivery": {"onDeadLetter": {"compensate": compensate}}}
    edited = dataclasses.replace(worlds.CONSUMER, spec={**worlds.CONSUMER.spec, **delivery})
    return consumer.plan(worlds.consumer_world(resource=edited), worlds.SETTINGS, worlds.NOW)


@pytest.mark.parametrize(
    ("compensate", "told"),
    [
        ({"topic": "ledger.undo"}, contract.Compensate(topic="ledger.undo")),
        (
            {"http": {"url": "http://ledger:8080/undo", "timeout": "5s"}},
            contract.Compensate(http=contract.Http(url="http://ledger:8080/undo", timeout=5)),
        ),
    ],
)
def test_the_pods_are_told_where_commands_go(compensate: dict[str, Any], told: contract.Compensate) -> None:
    made = [action.manifest for action in planned(compensate).actions if isinstance(action, Apply)]
    [document] = [one["data"]["config.json"] for one in made if one["kind"] == "ConfigMap"]
    assert contract.load(document).delivery.on_dead_letter == contract.OnDeadLetter(compensate=told)


@pytest.mark.parametrize("topic", [worlds.TOPIC, "retry.shop.billing", "dlq.shop.billing"])
def test_commands_do_not_come_back_to_their_consumer(topic: str) -> None:
    said = condition(planned({"topic": topic}), "Accepted")

    assert (said["status"], said["reason"]) == ("False", "InvalidSpec")
    assert f"compensate.topic is {topic}, which this Consumer reads or writes itself" in said["message"]


def test_no_login_stands_in_the_address() -> None:
    said = condition(planned({"http": {"url": "http://ada:secret@ledger/undo"}}), "Accepted")

    assert said["status"] == "False"
    assert "spec.delivery.onDeadLetter.compensate.http.url" in said["message"]
