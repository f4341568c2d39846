"""Topics are there before the first record: made as Kafka Connect makes them, where a Connector of ours writes them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kafka import BacklogSeen, CapturedSeen, PartitionSeen, SettingsSeen, TopicSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import captured_topics, debezium
from headrace_operator.plan.actions import AlterTopic, CreateTopic, Plan, PutConnector
from headrace_operator.plan.captured_topics import Made
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition

DEFAULTS = {"topic.creation.default.partitions": "12", "topic.creation.default.replication.factor": "-1"}
TABLES = {"tables": ["public.orders", "public.bills"]}
ORDERS, BILLS = "shop.orders-db.public.orders", "shop.orders-db.public.bills"


def accepted(spec: dict[str, Any], **status: Any) -> Resource:
    """Return the Connector with more in its spec, as it was accepted."""
    whole = {**worlds.CONNECTOR.spec, **spec}
    return dataclasses.replace(
        worlds.CONNECTOR, spec=whole, status={**status, "accepted": {"generation": 1, "spec": whole}}
    )


def created(plan: Plan) -> dict[str, CreateTopic]:
    return {action.topic: action for action in plan.actions if isinstance(action, CreateTopic)}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, Made(partitions=12, replicas=-1, config={})),
        (
            {"topic.creation.default.cleanup.policy": "compact", "topic.creation.default.partitions": "3"},
            Made(partitions=3, replicas=-1, config={"cleanup.policy": "compact"}),
        ),
        (
            {
                "topic.creation.groups": "bills , orders,all",
                "topic.creation.bills.include": "other,shop.*bills",
                "topic.creation.orders.include": "no,shop[.]orders-db[.].*",
                "topic.creation.orders.partitions": "4",
                "topic.creation.orders.retention.ms": "9",
                "topic.creation.all.include": ".*",
                "topic.creation.default.retention.ms": "1",
            },
            Made(partitions=4, replicas=-1, config={"retention.ms": "9"}),
        ),
        (
            {
                "topic.creation.groups": "most",
                "topic.creation.most.include": ".*",
                "topic.creation.most.exclude": ".*bills,.*orders",
                "topic.creation.most.partitions": "4",
            },
            Made(partitions=12, replicas=-1, config={}),
        ),
        ({"topic.creation.groups": "odd", "topic.creation.odd.include": r"\p{Lower}++.*"}, None),
        ({"topic.creation.default.retention.ms": "${env:RETENTION}"}, None),
        ({"topic.creation.default.partitions": "many"}, None),
    ],
    ids=["default", "settings", "first group that includes it", "excluded", "a pattern of Java", "elsewhere", "none"],
)
def test_a_topic_is_made_as_connect_would_make_it(given: dict[str, str], made: Made | None) -> None:
    assert captured_topics.as_connect_makes({**DEFAULTS, **given}, ORDERS) == made


def running(connector: Resource, missing: tuple[str, ...]) -> Any:
    """Return a world in which a Connector runs, and those topics are missing."""
    world = worlds.connector_world(resource=dataclasses.replace(connector, status={}))
    for _ in range(2):
        world = statuses.acted(world, statuses.planned(world))
    return dataclasses.replace(world, captured=CapturedSeen(missing=missing))


def test_a_connector_makes_the_topics_of_its_tables_once_it_runs() -> None:
    connector = accepted({"capture": TABLES, "topics": {"partitions": 5, "replicationFactor": 3}})
    plan = statuses.planned(running(connector, (ORDERS, BILLS)))

    assert captured_topics.of_tables(connector) == (ORDERS, BILLS)
    assert condition(plan, "Running")["status"] == "True"
    assert [(one.topic, one.partitions, one.replicas) for one in created(plan).values()] == [
        (ORDERS, 5, 3),
        (BILLS, 5, 3),
    ]


def test_a_connector_whose_task_fails_makes_none() -> None:
    """Its table may be misspelled; a Consumer of it waits, and says so."""
    world = running(accepted({"capture": TABLES}), (ORDERS,))
    failed = dataclasses.replace(world.seen.tasks[0], state="FAILED", trace="java.lang.Error: No table filters found")
    plan = statuses.planned(dataclasses.replace(world, seen=dataclasses.replace(world.seen, tasks=(failed,))))

    assert created(plan) == {}


@pytest.mark.parametrize(
    "config",
    [
        {"transforms": "route"},
        {"topic.naming.strategy": "io.debezium.schema.DefaultTopicNamingStrategy"},
        {"topic.delimiter": "_"},
        {"table.include.list": "public.other"},
    ],
)
def test_what_may_go_elsewhere_is_left_to_connect(config: dict[str, str]) -> None:
    plan = statuses.planned(running(accepted({"capture": TABLES, "config": config}), (ORDERS,)))

    assert created(plan) == {}


def reading(source: dict[str, Any], connector: Resource | None, *there: str, end: int = 0, **changes: Any) -> Plan:
    """Return the plan of a Consumer while those of its topics are there, each with so many records."""
    resource = dataclasses.replace(worlds.CONSUMER, spec={**worlds.CONSUMER.spec, "from": source})
    parts = tuple(
        PartitionSeen(topic=topic, partition=0, start=0, end=end, committed=None, lag_seconds=None) for topic in there
    )
    seen: dict[str, Any] = {
        "resource": resource,
        "connector": connector,
        "topics": {topic: TopicSeen(name=topic, partitions=12, replicas=3) for topic in there},
        "backlog": BacklogSeen(at=worlds.NOW, partitions=parts),
    }
    return statuses.planned(worlds.consumer_world(**{**seen, **changes}))


def test_a_consumer_makes_the_topics_of_its_routes_that_are_missing() -> None:
    connector = accepted({"topics": {"partitions": 3}, "config": {"topic.creation.default.retention.ms": "9"}})
    source = {"connector": "orders-db", "routes": ["order", "bill"]}
    plan = reading(source, connector, worlds.TOPIC)
    bill = "shop.orders-db.outbox.bill"

    assert created(plan) == {
        bill: CreateTopic(namespace="shop", kafka="kafka", topic=bill, partitions=3, config={"retention.ms": "9"})
    }
    assert condition(plan, "TopicsReady")["message"] == (
        f"Awaiting topic {bill} from Connector orders-db (route bill). It is being made."
    )


@pytest.mark.parametrize(
    ("source", "connector", "said"),
    [
        (
            {"connector": "orders-db", "routes": ["order"]},
            worlds.CONNECTOR,
            "no spec of Connector orders-db is accepted",
        ),
        (
            {"connector": "orders-db", "routes": ["order"]},
            accepted({"capture": TABLES}),
            "captures tables, and no outbox",
        ),
        ({"connector": "orders-db", "tables": ["public.orders"]}, accepted({}), "captures an outbox, and no tables"),
        (
            {"connector": "orders-db", "tables": ["public.bills", "public.order"]},
            accepted({"capture": TABLES}),
            "(table public.order). That Connector does not capture this table: add it to its spec.capture.tables, or "
            "name another (public.orders, public.bills).",
        ),
        (
            {"connector": "orders-db", "tables": ["public.orders"]},
            accepted({"capture": TABLES}),
            "The Connector makes it once its tasks run.",
        ),
        (
            {"connector": "orders-db", "routes": ["order"]},
            accepted({"config": {"transforms.outbox.route.topic.replacement": "all"}}),
            "transforms.outbox.route.topic.replacement of Connector orders-db may lead its records elsewhere",
        ),
    ],
)
def test_no_other_topic_is_made_and_it_is_said_why(source: dict[str, Any], connector: Resource, said: str) -> None:
    plan = reading(source, connector)

    assert created(plan) == {}
    assert condition(plan, "TopicsReady")["reason"] == "AwaitingTopic"
    assert said in condition(plan, "TopicsReady")["message"]


def test_the_topic_of_somebody_else_is_not_made() -> None:
    plan = reading({"kafka": "kafka", "topics": ["theirs"]}, None, connect=None)

    assert created(plan) == {}
    assert "Awaiting topic theirs of KafkaConnection kafka: it does not exist." in condition(plan, "Ready")["message"]


def test_none_is_made_where_the_workers_make_none() -> None:
    spec = {"kafka": "kafka", "workers": {"config": {"topic.creation.enable": "false"}}}
    cluster = dataclasses.replace(worlds.CONNECT, status={"accepted": {"generation": 1, "spec": spec}})
    plan = reading({"connector": "orders-db", "routes": ["order"]}, accepted({}), connect=cluster)

    assert created(plan) == {}
    assert "has topic.creation.enable=false" in condition(plan, "TopicsReady")["message"]


def test_a_route_that_nothing_was_written_to_is_told_beside_those_that_are_in_use() -> None:
    """A misspelled route is a topic that stays empty."""
    typo = "shop.orders-db.outbox.oder"
    written = [f"__debezium-heartbeat.{'shop.orders-db'}", worlds.TOPIC]
    source = {"connector": "orders-db", "routes": ["oder"]}
    silent = condition(reading(source, accepted({}, topics=written), typo), "TopicsReady")
    first = condition(reading(source, accepted({}, topics=[*written, typo]), typo, end=1), "TopicsReady")

    assert (silent["status"], silent["reason"]) == ("True", "NoRecordYet")
    assert silent["message"] == (
        f"All source topics exist: 1. Nothing was ever written to {typo} (route oder). "
        "Connector orders-db has written to the routes order: check the spelling."
    )
    assert first["reason"] == "TopicsExist"


@pytest.mark.case("databases-11")
def test_one_number_says_how_large_a_record_is_in_each_place() -> None:
    """Also for topics of the user's own groups, but where a group says it itself."""
    config = {"topic.creation.groups": "a, b", "topic.creation.b.max.message.bytes": "9"}
    spec = ConnectorSpec.model_validate(accepted({"topics": {"maxRecordBytes": 40_000_000}, "config": config}).spec)
    made = debezium.configuration(worlds.CONNECTOR, spec)

    assert {name: made[f"topic.creation.{name}.max.message.bytes"] for name in ("default", "a", "b")} == {
        "default": "40000000",
        "a": "40000000",
        "b": "9",
    }
    assert made["producer.override.max.request.size"] == "40000000"
    assert int(made["producer.override.buffer.memory"]) >= 2 * 40_000_000
    assert 1 <= int(made["snapshot.fetch.size"]) * 40_000_000 <= debezium.SNAPSHOT
    assert "producer.override.max.request.size" not in debezium.configuration(
        worlds.CONNECTOR, ConnectorSpec.model_validate(worlds.CONNECTOR.spec)
    )


@pytest.mark.case("databases-11")
def test_topics_that_take_less_are_raised_before_the_connector_writes_more() -> None:
    connector = accepted({"capture": TABLES, "topics": {"maxRecordBytes": 5_000_000}})
    world = worlds.connector_world(resource=connector)
    sizes = {ORDERS: 1_048_588, BILLS: 9_000_000}
    plan = statuses.planned(dataclasses.replace(world, captured=CapturedSeen(sizes=sizes)))

    raised = AlterTopic(namespace="shop", kafka="kafka", topic=ORDERS, config={"max.message.bytes": "5000000"})
    assert plan.actions[0] == raised
    assert isinstance(plan.actions[1], PutConnector)
    written = dataclasses.replace(connector, status={"topicPrefix": "p", "topics": ["p.x", "__debezium-heartbeat.p"]})
    assert captured_topics.sized(written) == ("p.x",)


@pytest.mark.case("databases-11")
@pytest.mark.parametrize("size", ["1048588", None])
def test_a_route_that_a_consumer_made_before_is_raised_by_it(size: str | None) -> None:
    """Where its setting may not be read it is left alone."""
    found = SettingsSeen(of={worlds.TOPIC: {"max.message.bytes": size} if size else {}}, fresh=True)
    source = {"connector": "orders-db", "routes": ["order"]}
    plan = reading(source, accepted({"topics": {"maxRecordBytes": 5_000_000}}), worlds.TOPIC, settings=found)

    raised = [one for one in plan.actions if isinstance(one, AlterTopic) and one.topic == worlds.TOPIC]
    assert [one.config for one in raised] == ([{"max.message.bytes": "5000000"}] if size else [])
