"""What the operator's client makes of a Kafka: the fake and the real one must both pass.

Where they differ, the real one is right. A real one may need a while until all of it knows what was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

import pytest

from headrace_operator.clients import errors
from headrace_operator.observed.kafka import Committed, Partition, Span, TopicSeen
from tests.contract.kafka_bench import GROUP, Bench, FakeBench, RealBench, new_name
from tests.fakes.kafka import END, PARTITIONS, SETTINGS
from tests.waiting import PATIENCE

Answer = TypeVar("Answer")


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slow)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    real = RealBench(request.getfixturevalue("kafka_broker"))
    yield real
    real.kafka.close()
    await asyncio.sleep(0)  # its connections end in the loop


def partitions(topic: str) -> list[Partition]:
    return [(topic, number) for number in range(PARTITIONS)]


async def until(question: Callable[[], Awaitable[Answer]], holds: Callable[[Answer], object]) -> Answer:
    """Ask until the answer is as ``holds`` says; what may pass is asked again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if holds(answer := await question()):
                    return answer
            except errors.Retryable:
                pass
            await asyncio.sleep(0.05)


async def done(question: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer, whatever it is."""
    return await until(question, lambda _: True)


async def topic(bench: Bench, name: str, count: int | None = None) -> TopicSeen:
    """Return a topic once it is seen, with so many partitions if they are given."""

    async def seen() -> TopicSeen | None:
        return (await bench.kafka.topics([name])).get(name)

    found = await until(seen, lambda one: one is not None and count in (None, one.partitions))
    assert found is not None
    return found


async def test_the_cluster_says_who_it_is_and_which_groups_there_may_be(bench: Bench) -> None:
    seen = await until(bench.kafka.cluster, lambda found: found.group_protocols)

    assert seen.cluster_id
    assert seen.brokers == 1
    assert {"classic", "consumer"} <= set(seen.group_protocols or ())


async def test_only_what_exists_is_seen(bench: Bench) -> None:
    source = bench.source()
    await topic(bench, source)
    seen = await done(lambda: bench.kafka.topics([source, new_name()]))

    assert {name: (one.name, one.partitions, one.replicas) for name, one in seen.items()} == {
        source: (source, PARTITIONS, 1)
    }


async def test_what_names_no_topic_is_refused(bench: Bench) -> None:
    with pytest.raises(errors.Invalid, match="no name of a topic"):
        await bench.kafka.topics([bench.source(), ""])


async def test_a_topic_that_is_made_is_there_and_empty(bench: Bench) -> None:
    name, other = new_name(), new_name()
    await done(lambda: bench.kafka.create(name, 3, {"cleanup.policy": "compact"}))
    await done(lambda: bench.kafka.create(other, 1, {}))
    seen, beside = await topic(bench, name, 3), await topic(bench, other)
    config = await until(lambda: bench.kafka.settings(name), lambda found: found["cleanup.policy"] == "compact")

    assert seen.replicas == 1
    assert seen.id
    assert seen.id != beside.id
    assert config.items() >= (SETTINGS | {"cleanup.policy": "compact"}).items()
    ends = await until(lambda: bench.kafka.offsets([(name, 2)]), bool)
    assert ends == {(name, 2): Span(start=0, end=0)}


async def test_a_topic_is_made_once(bench: Bench) -> None:
    """Another wish changes nothing of one that exists."""
    name = new_name()
    await done(lambda: bench.kafka.create(name, 3, {"cleanup.policy": "compact"}))
    first = await topic(bench, name)
    await done(lambda: bench.kafka.create(name, 5, {"cleanup.policy": "delete"}))

    assert await topic(bench, name) == first
    assert (await done(lambda: bench.kafka.settings(name)))["cleanup.policy"] == "compact"


@pytest.mark.parametrize("own", [True, False])
async def test_some_settings_are_set_and_the_others_stay(bench: Bench, own: bool) -> None:
    name = new_name() if own else bench.source()
    await done(lambda: bench.kafka.create(name, PARTITIONS, {}))
    await topic(bench, name)
    before = await until(lambda: bench.kafka.settings(name), bool)
    await done(lambda: bench.kafka.alter(name, {"max.message.bytes": "2000000"}))
    after = await until(lambda: bench.kafka.settings(name), lambda found: found["max.message.bytes"] == "2000000")

    assert before.items() >= SETTINGS.items()
    assert after == {**before, "max.message.bytes": "2000000"}


async def test_partitions_are_added_and_never_taken_away(bench: Bench) -> None:
    name = new_name()
    await done(lambda: bench.kafka.create(name, 2, {}))
    await topic(bench, name, 2)
    await done(lambda: bench.kafka.grow(name, 4))
    grown = await topic(bench, name, 4)
    for fewer in (4, 3):
        await done(partial(bench.kafka.grow, name, fewer))

    assert await topic(bench, name) == grown


async def test_ends_and_commits_are_those_of_each_partition(bench: Bench) -> None:
    source = bench.source()
    every = partitions(source)
    spans = await until(lambda: bench.kafka.offsets(every), bool)
    committed = await until(lambda: bench.kafka.committed(GROUP, every), bool)

    assert spans == {at: Span(start=0, end=END) for at in every}
    assert await done(lambda: bench.kafka.written(every)) == dict.fromkeys(every, END)
    assert committed == {at: Committed(offset=END) for at in every}


async def test_what_nobody_committed_is_left_out(bench: Bench) -> None:
    source, name = bench.source(), new_name()
    asked = [(source, 0), (source, PARTITIONS), (name, 0)]
    committed = await until(lambda: bench.kafka.committed(GROUP, asked), bool)

    assert committed == {(source, 0): Committed(offset=END)}
    assert await done(lambda: bench.kafka.committed(GROUP, [])) == {}


async def test_questions_that_fall_together_are_answered_each_its_own(bench: Bench) -> None:
    first, second = bench.source(), bench.source()
    await topic(bench, first), await topic(bench, second)
    topics = await asyncio.gather(*(done(partial(bench.kafka.topics, [name])) for name in (first, second)))
    ends = await asyncio.gather(*(done(partial(bench.kafka.offsets, [(name, 1)])) for name in (first, second)))

    assert [list(one) for one in topics] == [[first], [second]]
    assert [list(one) for one in ends] == [[(first, 1)], [(second, 1)]]


async def test_records_are_read_as_far_as_was_asked(bench: Bench) -> None:
    source = bench.source()
    spans = {(source, 1): Span(start=0, end=END), (source, 2): Span(start=END - 2, end=END)}
    whole = {at: span.end for at, span in spans.items()}
    seen = await until(lambda: bench.kafka.read(GROUP, spans), lambda found: found.reached == whole)

    found: Mapping[Partition, list[int]] = {
        at: [one.offset for one in seen.records if (one.topic, one.partition) == at] for at in spans
    }
    assert found == {at: list(range(span.start, span.end)) for at, span in spans.items()}
    assert {(one.key, one.empty) for one in seen.records} == {(None, False)}


async def test_what_is_written_is_read_with_its_value_where_that_is_asked_for(bench: Bench) -> None:
    name = new_name()
    await done(partial(bench.kafka.create, name, 1, {}))
    at = (name, 0)
    await done(partial(bench.kafka.offsets, [at]))
    await bench.kafka.send(name, b"first", b"key")
    await bench.kafka.send(name, b"second")
    spans = {at: (await bench.kafka.offsets([at]))[at]}
    count = spans[at].end - spans[at].start
    seen = await until(lambda: bench.kafka.read(GROUP, spans, values=True), lambda one: len(one.records) == count)
    bare = await until(lambda: bench.kafka.read(GROUP, spans), lambda one: len(one.records) == count)

    assert [(one.key, one.value) for one in seen.records] == [(b"key", b"first"), (None, b"second")]
    assert [one.value for one in bare.records] == [None, None]


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ("settings", errors.Retryable),
        ("alter", errors.Retryable),
        ("grow", errors.Retryable),
        ("offsets", errors.Invalid),
        ("written", errors.Invalid),
    ],
)
async def test_of_a_topic_that_is_not_there_nothing_is_said(
    bench: Bench, question: str, error: type[errors.HeadraceError]
) -> None:
    """The client says of leaders that there are none, of the rest that it may come."""
    name = new_name()
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "settings": lambda: bench.kafka.settings(name),
        "alter": lambda: bench.kafka.alter(name, {"cleanup.policy": "compact"}),
        "grow": lambda: bench.kafka.grow(name, 3),
        "offsets": lambda: bench.kafka.offsets([(name, 0)]),
        "written": lambda: bench.kafka.written([(name, 0)]),
    }

    async def is_refused() -> bool:
        with pytest.raises(errors.HeadraceError) as refused:
            await asked[question]()
        return isinstance(refused.value, error)

    await until(is_refused, bool)
