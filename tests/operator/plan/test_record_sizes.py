"""What is said of a row that no record takes, and that the limit is named which is too small."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import connector, debezium, marks, record_sizes
from tests.operator import worlds

pytestmark = pytest.mark.case("databases-11")

TRACES = Path(__file__).parent / "traces"
BUFFER = (
    "org.apache.kafka.common.errors.RecordTooLargeException: The message is 1920763 bytes when serialized which is "
    "larger than the total memory buffer you have configured with the buffer.memory configuration."
)
TABLES = {"tables": ["public.customers", "public.Order Items"]}
ELSEWHERE = dataclasses.replace(worlds.CONNECT, spec={"external": {"url": "http://theirs:8083"}})
FOUND = [
    "is a row of table public.customers",
    "column.exclude.list: public\\.customers\\.notes.",
    "SELECT * FROM public.customers AS t WHERE octet_length(t::text) > 524288",
]
RAISE = "Raise spec.topics.maxRecordBytes above the bytes it names"


def spec(**changes: Any) -> ConnectorSpec:
    """Return the spec of a Connector of tables."""
    return ConnectorSpec.model_validate({**worlds.CONNECTOR.spec, "capture": TABLES, **changes})


def said(trace: str, **changes: Any) -> str:
    """Return what the condition says of a Connector of tables whose task failed so."""
    resource = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, "capture": TABLES, **changes})
    config = marks.mark(resource, worlds.HOME)
    seen = ConnectorSeen(name="shop.orders-db", config=config, state="FAILED", trace=trace, tasks=())
    plan = connector.plan(worlds.connector_world(resource=resource, seen=seen), worlds.SETTINGS, worlds.NOW)
    return str(worlds.condition(plan, "Running")["message"])


def told(name: str) -> str:
    """Return the trace of a real failure."""
    return (TRACES / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("trace", "config", "words"),
    [
        (told("table_row"), {}, [*FOUND, RAISE]),
        (told("size"), {}, [RAISE]),
        (BUFFER, {}, [RAISE]),
        (told("table_row"), {record_sizes.SIZE: "1048576"}, [*FOUND, f"spec.config, {record_sizes.SIZE}, is what is"]),
        (told("size"), {record_sizes.SIZE: "1048576"}, [f"spec.config, {record_sizes.SIZE}, is what is too small"]),
        (BUFFER, {record_sizes.SIZE: "9000000"}, [RAISE]),
        (BUFFER, {"producer.override.buffer.memory": "1000"}, ["spec.config, producer.override.buffer.memory, is"]),
    ],
)
def test_the_limit_is_named_that_is_too_small(trace: str, config: dict[str, str], words: list[str]) -> None:
    """What the user set of the producer goes before the one number of the spec."""
    message = said(trace, config=config)

    assert [one for one in words if one not in message] == [], message
    assert "It is not restarted" in message


def test_a_row_of_what_is_captured_no_more_is_told_without_its_table() -> None:
    message = said(told("table_row"), capture={"tables": ["public.other"]})

    assert "shop.orders-db.public.customers has 1200542 bytes" in message
    assert "SELECT" not in message


def without_plugin() -> Resource:
    """Return workers of an image that has Headrace's converters but the one for tables."""
    plugins = [{"class": debezium.PLAIN, "version": "undefined"}]
    return dataclasses.replace(worlds.CONNECT, status={**worlds.CONNECT.status, "plugins": plugins})


def workers(config: dict[str, str]) -> Resource:
    """Return workers with properties of the user's own."""
    return dataclasses.replace(worlds.CONNECT, spec={**worlds.CONNECT.spec, "workers": {"config": config}})


@pytest.mark.parametrize(
    ("changes", "cluster", "largest"),
    [
        ({}, worlds.CONNECT, "1048576"),
        ({"topics": {"maxRecordBytes": 5_000_000}}, worlds.CONNECT, "5000000"),
        ({}, workers({"producer.max.request.size": "2000000"}), "2000000"),
        ({"config": {record_sizes.SIZE: "3000000"}}, worlds.CONNECT, "3000000"),
        ({"config": {record_sizes.SIZE: "${secrets:shop/db:size}"}}, worlds.CONNECT, None),
        ({"config": {"value.converter": "io.confluent.connect.avro.AvroConverter"}}, worlds.CONNECT, None),
        ({"capture": {"outbox": {"table": "public.outbox"}}}, worlds.CONNECT, None),
        ({}, without_plugin(), None),
        ({}, ELSEWHERE, None),
    ],
)
def test_the_workers_name_what_their_producer_would_refuse(
    changes: dict[str, Any], cluster: Resource, largest: str | None
) -> None:
    """Where the converter is Headrace's to choose, and they have it."""
    wanted = {} if largest is None else {
        "value.converter": record_sizes.BOUNDED, "value.converter.largest.bytes": largest
    }  # fmt: skip

    assert record_sizes.bounded(spec(**changes), cluster) == wanted
