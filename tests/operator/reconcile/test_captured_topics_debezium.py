"""Topics of tables on a real Kafka, beside those that a real Kafka Connect makes of its own properties."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.operator.capturing import Capturing
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

GROUPS = {
    "topic.creation.groups": "small, long",
    "topic.creation.small.include": r"shop\..*\.public\.b.*",
    "topic.creation.small.partitions": "2",
    "topic.creation.small.max.message.bytes": "2000000",
    "topic.creation.long.include": ".*",
    "topic.creation.long.exclude": r".*\.public\.c",
    "topic.creation.long.cleanup.policy": "compact,delete",
    "topic.creation.default.retention.ms": "86400000",
}
NAMED_BY_CONNECT = {"topic.naming.strategy": "io.debezium.schema.SchemaTopicNamingStrategy"}
"""Debezium's own default, which Headrace leaves to Kafka Connect as soon as the user names one."""

OF_A_TABLE = re.compile(
    r"topic \S+\.public\.a has 32\d{5} bytes, column v 3200000, and a record may have 1048576.*"
    r"table public\.a\. .* column\.exclude\.list: public\\\.a\\\.v\. .* FROM public\.a AS t WHERE octet_length"
)


def described(shop: Capturing, topic: str) -> tuple[int, dict[str, str]]:
    return shop.broker.partitions(topic), shop.broker.settings(topic)


async def test_a_table_has_its_topic_on_an_empty_database_as_connect_would_make_it(shop: Capturing) -> None:
    tables = ["public.a", "public.b", "public.c"]
    shop.run(*(f"CREATE TABLE {table} (id int PRIMARY KEY)" for table in tables))
    shop.apply(shop.name, {"tables": tables}, topics={"partitions": 3}, config=GROUPS)
    await shop.until(shop.name, "True", "Ready")
    begun = {table: f"shop.{shop.name}.{table}" for table in tables}
    async with asyncio.timeout(PATIENCE):
        while not set(begun.values()) <= shop.topics():
            await shop.look(shop.name)
            await asyncio.sleep(0.5)
    assert [shop.broker.partitions(topic) for topic in begun.values()] == [3, 2, 3]

    other = f"{shop.name}-connect"
    shop.apply(other, {"tables": tables}, topics={"partitions": 3}, config={**GROUPS, **NAMED_BY_CONNECT})
    await shop.until(other, "True", "Ready")
    await shop.look(other)
    assert not [topic for topic in shop.topics() if topic.startswith(f"shop.{other}.public")]
    shop.run(*(f"INSERT INTO {table} VALUES (1)" for table in tables))
    for table, topic in begun.items():
        await shop.rows(f"shop.{other}.{table}", 1)
        await shop.rows(topic, 1)
        assert described(shop, topic) == described(shop, f"shop.{other}.{table}")


async def test_a_topic_that_exists_is_left_as_it_is(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)")
    topic = shop.broker.create_topic(f"shop.{shop.name}.public.a", 2, {"cleanup.policy": "compact"})
    shop.apply(shop.name, {"tables": ["public.a"]}, topics={"partitions": 5})
    await shop.until(shop.name, "True", "Ready")
    await shop.look(shop.name)

    partitions, settings = described(shop, topic)
    assert (partitions, settings["cleanup.policy"]) == (2, "compact")


async def test_one_whose_tables_are_all_misspelled_makes_no_topic(shop: Capturing) -> None:
    shop.apply(shop.name, {"tables": ["public.nothing"]})
    await shop.await_(shop.name, lambda ready: ready["reason"] == "TaskFailed")
    await shop.look(shop.name)

    assert f"shop.{shop.name}.public.nothing" not in shop.topics()


@pytest.mark.case("databases-11")
async def test_a_row_above_a_megabyte_arrives_once_the_spec_allows_it(shop: Capturing) -> None:
    """Its topic was there before, for records of a megabyte; a table's and an outbox's alike."""
    shop.run(
        "CREATE TABLE public.a (id int PRIMARY KEY, v text)",
        "CREATE TABLE public.outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text, "
        "aggregateid text, type text, payload jsonb)",
    )
    large = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 100000))"
    outbox = f"{shop.name}-outbox"
    kinds: dict[str, dict[str, Any]] = {
        shop.name: {"tables": ["public.a"]},
        outbox: {"outbox": {"table": "public.outbox"}},
    }
    for name, capture in kinds.items():
        shop.apply(name, capture)
        await shop.until(name, "True", "Ready")
    shop.run("INSERT INTO public.a VALUES (1, 'small')", f"INSERT INTO public.a VALUES (2, {large})")
    event = "INSERT INTO public.outbox (aggregatetype, aggregateid, payload) VALUES ('order', '{0}', to_jsonb({1}))"
    shop.run(event.format(1, "'small'::text"), event.format(2, large))
    for name, capture in kinds.items():
        await shop.await_(name, lambda ready: ready["reason"] == "RestartInVain")
        assert "spec.topics.maxRecordBytes" in shop.condition(name, "Ready")["message"]
        assert name == outbox or OF_A_TABLE.search(shop.condition(name, "Ready")["message"])
        shop.apply(name, capture, topics={"partitions": 1, "maxRecordBytes": 5_000_000})
        await shop.look(name)

    for topic in (f"shop.{shop.name}.public.a", f"shop.{outbox}.outbox.order"):
        count = 2  # what was written before the failure may come again
        while not any(len(value or b"") > 3_000_000 for _, value in await shop.rows(topic, count)):
            count += 1
        assert shop.broker.settings(topic)["max.message.bytes"] == "5000000"


@pytest.mark.case("databases-11")
async def test_who_raises_one_limit_alone_is_told_which_other_one_is_too_small(shop: Capturing) -> None:
    """The producer's alone, then a producer's that goes before the spec's one number, then none but that."""
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY, v text)", "INSERT INTO public.a VALUES (1, 'small')")
    tables = {"tables": ["public.a"]}
    shop.apply(shop.name, tables, config={"producer.override.max.request.size": "5000000"})
    await shop.until(shop.name, "True", "Ready")
    shop.run("INSERT INTO public.a VALUES (2, (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100000) n))")
    await shop.await_(shop.name, lambda ready: "Its topic takes less" in ready["message"])
    of_the_topic = shop.condition(shop.name, "Ready")["message"]
    both = {"partitions": 1, "maxRecordBytes": 5_000_000}
    shop.apply(shop.name, tables, topics=both, config={"producer.override.max.request.size": "2000000"})
    await shop.await_(shop.name, lambda ready: ready["reason"] == "RestartInVain")
    of_the_producer = shop.condition(shop.name, "Ready")["message"]
    shop.apply(shop.name, tables, topics=both)
    await shop.rows_while_looking(f"shop.{shop.name}.public.a", 2)

    assert "set spec.topics.maxRecordBytes" in of_the_topic
    assert "spec.config, producer.override.max.request.size, is what is too small" in of_the_producer
    assert "a record may have 2000000" in of_the_producer
