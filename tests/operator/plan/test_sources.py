"""What a Consumer reads may change only when nothing is left behind: a topic stays until its records are handled."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api.consumer import Source
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen, TopicSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import sources
from headrace_operator.plan.actions import Plan
from tests.operator import worlds
from tests.operator.plan import statuses

PLAIN = {"kafka": "kafka", "topics": ["orders", "bills"]}
ROUTES = {"connector": "orders-db", "routes": ["order", "bill"]}
TABLES = {"connector": "orders-db", "tables": ["public.orders", "public.bills"]}
SOURCES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "topic": (PLAIN, {**PLAIN, "topics": ["orders"]}, "bills"),
    "other topic": (PLAIN, {**PLAIN, "topics": ["orders", "new"]}, "bills"),
    "route": (ROUTES, {**ROUTES, "routes": ["order"]}, "shop.orders-db.outbox.bill"),
    "table": (TABLES, {**TABLES, "tables": ["public.orders"]}, "shop.orders-db.public.bills"),
    "tables for routes": (ROUTES, {"connector": "orders-db", "tables": ["a.b"]}, "shop.orders-db.outbox.bill"),
}
"""What was read, what an edit names, and the topic in which records wait."""


def backlog(**lags: int) -> BacklogSeen:
    """Return a backlog of so many records by topic."""
    parts = (
        PartitionSeen(topic=topic, partition=0, start=0, end=100, committed=100 - lag, lag_seconds=None)
        for topic, lag in lags.items()
    )
    return BacklogSeen(at=worlds.NOW, partitions=tuple(parts))


def edited(before: dict[str, Any], after: dict[str, Any], **seen: Any) -> Plan:
    """Return the plan of a Consumer that read `before` and was edited to read `after`."""
    spec = {**worlds.CONSUMER.spec, "from": before}
    connector = {"connector": None, "connect": None} if "kafka" in before else {}
    every = {*sources.topics(_source(before), worlds.CONNECTOR), *sources.topics(_source(after), worlds.CONNECTOR)}
    world = worlds.consumer_world(
        resource=dataclasses.replace(worlds.CONSUMER, spec=spec),
        topics={name: TopicSeen(name=name, partitions=12) for name in every},
        backlog=backlog(**dict.fromkeys(every, 0)),
        **connector,
    )
    for _ in range(3):
        world = statuses.acted(world, statuses.planned(world))
    return statuses.planned(statuses.changed(world, spec={**spec, "from": after}, generation=2, **seen))


def _source(written: dict[str, Any]) -> Source:
    return Source.model_validate(written)


@pytest.mark.case("clusters-12")
@pytest.mark.parametrize("what", SOURCES)
def test_what_has_records_stays_and_the_number_is_told(what: str) -> None:
    before, after, topic = SOURCES[what]
    plan = edited(before, after, backlog=backlog(**{topic: 39}))
    accepted = worlds.condition(plan, "Accepted")

    assert (accepted["status"], accepted["reason"]) == ("False", "RecordsWait")
    assert f"39 in {topic}" in accepted["message"]
    assert "wait until nothing waits there" in accepted["message"]
    assert plan.status["accepted"]["spec"]["from"] == before
    assert topic in plan.status["topics"]
    assert plan.status["lag"]["records"] == 39
    assert plan.actions == ()


@pytest.mark.case("clusters-12")
@pytest.mark.parametrize("what", SOURCES)
def test_what_is_handled_may_go(what: str) -> None:
    before, after, topic = SOURCES[what]
    plan = edited(before, after, backlog=backlog(**{topic: 0}))

    assert worlds.condition(plan, "Accepted")["status"] == "True"
    assert topic not in plan.status["topics"]
    assert plan.actions


@pytest.mark.case("clusters-12")
@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"backlog": Unknown(reason="kafka:9092 does not answer.")}, "(route bill) is not known: kafka:9092 does not"),
        ({"connector": Absent()}, "(route bill) is not known: the Connector is not there"),
    ],
)
def test_what_is_not_known_to_be_handled_stays(seen: dict[str, Any], words: str) -> None:
    before, after, _ = SOURCES["route"]
    accepted = worlds.condition(edited(before, after, **seen), "Accepted")

    assert (accepted["status"], accepted["reason"]) == ("False", "RecordsWait")
    assert words in accepted["message"]


@pytest.mark.parametrize(
    "seen", [{}, {"backlog": Unknown(reason="no answer")}, {"backlog": backlog(orders=5, bills=7)}]
)
def test_one_more_is_always_well(seen: dict[str, Any]) -> None:
    plan = edited(PLAIN, {**PLAIN, "topics": ["new", "bills", "orders"]}, **seen)

    assert worlds.condition(plan, "Accepted")["status"] == "True"


def test_until_pods_were_made_a_slip_can_be_mended() -> None:
    status = {"accepted": {"generation": 1, "spec": {**worlds.CONSUMER.spec, "from": PLAIN}}, "replicas": 0}
    spec = {**worlds.CONSUMER.spec, "from": {**PLAIN, "topics": ["orders"]}}
    world = worlds.consumer_world(
        resource=dataclasses.replace(worlds.CONSUMER, spec=spec, status=status), connector=None, connect=None,
        backlog=backlog(bills=39),
    )  # fmt: skip

    assert worlds.condition(statuses.planned(world), "Accepted")["status"] == "True"
