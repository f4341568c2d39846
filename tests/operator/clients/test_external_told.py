"""What a Kafka Connect of others tells of itself reaches statuses and Events as short lines that no terminal obeys."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from headrace import printable
from headrace_operator.clients import answers, connect_told
from headrace_operator.clients.connect import CONNECT
from headrace_operator.clients.connect_bounds import LONGEST_TRACE
from headrace_operator.clients.errors import HeadraceError, Unreachable
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.plan import restarts
from tests.operator.clients.test_external import ANSWERS, NAME, Outside, asking, enter, serving

pytestmark = pytest.mark.case("clusters-25")

OWNED = "x\x1b[2J\x9b31m\r\n\u202ey\u2028z"
TASK = {
    "id": 0,
    "state": f"FAILED{OWNED}",
    "worker_id": f"w{OWNED}",
    "trace": f"a.Outer: {OWNED}\nCaused by: b: {OWNED}",
}
STATUS = {"connector": {"state": OWNED, "worker_id": "w", "trace": OWNED}, "tasks": [TASK]}


def tell(outside: Outside) -> None:
    """Let it tell of everything in words that a terminal would obey."""
    outside.told |= {
        "": {"version": OWNED, "kafka_cluster_id": OWNED},
        "connector-plugins": [{"class": OWNED, "version": OWNED, "type": OWNED}],
        "connectors": {OWNED: {"info": {"config": {}}, "status": STATUS}},
        "status": STATUS,
        "topics": {"shop.a": {"topics": [OWNED]}},
        "validate": {"configs": [{"value": {"name": OWNED, "errors": [OWNED, "y" * 5000]}}]},
    }


def shown(seen: ConnectorSeen) -> Iterator[str]:
    """Yield what a status has of a connector, besides what it is configured by and its offsets."""
    yield from (seen.name, seen.state, *(seen.topics or ()))
    failed = restarts.failure(seen)
    yield failed.told if failed else ""
    for task in seen.tasks:
        yield from (task.state, task.worker or "")


async def test_whatever_it_tells_is_lines_that_no_terminal_obeys() -> None:
    async with serving() as outside, asking() as connect:
        tell(outside)
        await enter(connect, outside, {})
        workers = await connect.workers(NAME)
        one = await connect.connector(NAME, "shop.a")
        answer = await connect.validate(NAME, {"connector.class": "c"})

    assert isinstance(one, ConnectorSeen)
    (plugin,), (listed,) = workers.plugins, workers.connectors.values()
    told = [
        workers.version,
        workers.kafka_cluster_id,
        plugin.class_name,
        plugin.version,
        plugin.type,
        *workers.connectors,
    ]
    told += [*shown(listed), *shown(one)]
    told += [text for error in answer.errors for text in (error.field, error.message)]
    assert len(told) == 21
    assert [text for text in told if "\n" in text or not printable.is_safe(text)] == []
    assert max(map(len, told)) <= 1000


@pytest.mark.parametrize("body", [json.dumps({"message": OWNED + "y" * 90000}), OWNED + "y " * 90000])
def test_words_of_a_refusal_are_one_short_line(body: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        answers.read("GET x", CONNECT, 400, body.encode())

    assert "y" in str(refused.value)
    assert len(str(refused.value)) <= 2000
    assert "\n" not in str(refused.value)
    assert printable.is_safe(str(refused.value))


async def test_a_number_that_is_none_is_told_in_short() -> None:
    task = {"id": "9" * 100 + "x" * 90000, "state": "RUNNING", "worker_id": "w"}
    async with serving() as outside, asking() as connect:
        outside.told["status"] = {"connector": {"state": "RUNNING"}, "tasks": [task]}
        await enter(connect, outside, {})
        with pytest.raises(Unreachable, match="not one of Kafka Connect") as refused:
            await connect.connector(NAME, "shop.a")

    assert len(str(refused.value)) <= 2000


def test_a_long_trace_keeps_its_first_words_and_its_root_cause() -> None:
    frames = "\n\tat io.debezium.Some.method(Some.java:1)" * 90000
    told: Any = {"info": {"config": {}}, "status": ANSWERS["status"] | {"tasks": [TASK | {
        "state": "FAILED", "trace": f"a.Outer: it failed{frames}\nCaused by: c.Root: the disk is full{frames[:90]}"
    }]}}  # fmt: skip
    (seen,) = connect_told.connectors({"x": told}).values()
    failed = restarts.failure(seen)

    assert len(seen.tasks[0].trace or "") <= LONGEST_TRACE + 1
    assert failed is not None
    assert failed.told == "Task 0 failed: a.Outer: it failed (root cause: c.Root: the disk is full)"


@pytest.mark.parametrize("part", ["Invalid value ", "{", '{"a', "user ", 'user "'])
def test_words_without_an_end_take_no_longer_the_more_there_are(part: str) -> None:
    """Each is looked for once: in a quarter of a million of them, once for each would take minutes."""
    text = part * 250_000
    begun = time.process_time()
    connect_told.words(text)

    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Invalid value s3cret for configuration a: b", "Invalid value for configuration a: b"),
        (
            "Invalid value s3\ncret for configuration a; Invalid value x",
            "Invalid value for configuration a; Invalid value x",
        ),
        ("${a} {s3cret} of {s3cret} b {", "${a} {…} b {"),
        ("{s3cret}\n{ c", "{…}\n{ c"),
        ('user "s3cret" and role "s3cret"', 'user "…" and role "…"'),
    ],
)
def test_values_that_it_quotes_are_left_out(said: str, told: str) -> None:
    assert connect_told.words(said) == told
