"""What topics and patterns the names of tables and routes become, and which of them cannot be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api.consumer import Source
from headrace_operator.plan import connector, debezium, sources
from tests.operator import worlds


def capturing(**capture: Any) -> Any:
    """Return a Connector with that capture."""
    return worlds.resource("Connector", "c", {**worlds.CONNECTOR.spec, "capture": capture})


def included(**capture: Any) -> str:
    """Return the pattern of what Debezium captures."""
    spec = connector.judge(resource := capturing(**capture)).spec
    assert spec is not None
    return debezium.configuration(resource, spec)["table.include.list"]


@pytest.mark.case("databases-8")
@pytest.mark.parametrize(
    ("route", "topic"),
    [
        ("order", "p.outbox.order"),
        ("order created", "p.outbox.order_created"),
        ("Größe/🙂", "p.outbox.Gr__e___"),
        ("o" * 240, "p.outbox." + "o" * 240),
        ("ö" * 241, "p.outbox." + "_" * 231 + "-d5dee81d"),
    ],
)
def test_topics_of_routes(route: str, topic: str) -> None:
    assert debezium.topic("p", route=route) == topic


@pytest.mark.case("databases-9")
@pytest.mark.parametrize(
    ("table", "topic"),
    [
        ("public.orders", "p.public.orders"),
        ("public.Order Details", "p.public.Order_Details"),
        ("public.audit$log", "p.public.audit_log"),
        ("public." + "t" * 300, "p.public." + "t" * 240),
    ],
)
def test_topics_of_tables(table: str, topic: str) -> None:
    assert debezium.topic("p", table=table) == topic


@pytest.mark.case("databases-9")
def test_tables_are_names_and_no_patterns() -> None:
    assert included(tables=["public.orders", "public.a$b"]) == r"public\.orders,public\.a\$b"
    assert included(outbox={"table": "public.(x)+[y]{z}?*|^\\"}) == r"public\.\(x\)\+\[y\]\{z\}\?\*\|\^\\"


@pytest.mark.case("databases-9")
@pytest.mark.parametrize(
    "table", ["customers", 'public."Orders"', "public.a,public.b", " public.a", "public.", ".a", "public.a\n"]
)
def test_what_is_no_table_is_refused(table: str) -> None:
    for capture in ({"tables": ["public.orders", table]}, {"outbox": {"table": table}}):
        problem = connector.judge(capturing(**capture)).problem
        assert problem is not None
        assert "a table is schema.table, such as public.orders" in problem.message


@pytest.mark.case("databases-9")
@pytest.mark.parametrize("name", ["a+b", "a%41", "a/b"])
def test_a_database_that_the_driver_would_read_as_another_is_refused(name: str) -> None:
    """It stands in a URL, so that `a+b` is the database `a b`, and `a%41` is `aA`."""
    known = capturing(tables=["public.orders"])
    spec = {**known.spec, "postgres": {**known.spec["postgres"], "database": name}}
    problem = connector.judge(dataclasses.replace(known, spec=spec)).problem

    assert problem is not None
    assert "spec.postgres.database" in problem.message


@pytest.mark.case("databases-9")
def test_a_database_may_be_called_as_it_is() -> None:
    known = capturing(tables=["public.orders"])
    for name in ("My Shop", "a&b#c;d", "Größen"):
        spec = {**known.spec, "postgres": {**known.spec["postgres"], "database": name}}
        assert connector.judge(dataclasses.replace(known, spec=spec)).problem is None


@pytest.mark.case("databases-9")
def test_two_tables_of_one_topic_are_refused_by_name() -> None:
    problem = connector.judge(capturing(tables=["public.a b", "public.c", "public.a$b"])).problem

    assert problem is not None
    assert "public.a b and public.a$b would both be written to the topic shop.c.public.a_b" in problem.message


@pytest.mark.case("databases-9")
def test_a_consumer_subscribes_each_topic_once() -> None:
    source = Source.model_validate({"connector": "c", "routes": ["order created", "order_created", "order"]})

    topics = sources.topics(source, capturing(outbox={"table": "public.outbox"}))

    assert topics == ("shop.c.outbox.order_created", "shop.c.outbox.order")
