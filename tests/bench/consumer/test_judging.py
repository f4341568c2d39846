"""What the bench takes for order, for a gate that holds, and for a run that went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.consumer import report, topics
from tests.bench.consumer.cases import NOOP, Case, Gate
from tests.bench.consumer.contestants import headrace
from tests.bench.consumer.measure import Bench, BenchError
from tests.kafka_broker import KafkaBroker

KEYS = [7, 8, 7, 8, 7]


@pytest.mark.parametrize(
    ("events", "each", "wrong"),
    [
        ([0, 1, 2, 3, 4], 1, 0),
        ([1, 0, 3, 2, 4], 1, 0),
        ([0, 1, 4, 3, 2], 1, 1),
        ([2, 0, 1, 3, 4], 1, 1),
        ([0, 1, 1, 0, 2, 2, 3, 4, 4, 3], 2, 0),
        ([0, 2, 0, 2, 4, 4, 1, 1, 3, 3], 2, 1),
    ],
)
def test_a_record_that_begins_before_one_of_its_key_is_done_is_counted(
    events: list[int], each: int, wrong: int
) -> None:
    """With one event a record is done at once; with two it is from the first to the second."""
    assert topics.disorder(events, each, KEYS) == wrong


def test_each_key_comes_equally_often_in_no_fixed_order() -> None:
    """A key's share of the records is exact, so that what order by key allows is known."""
    rounds = list(topics.keys(300, 100))

    assert sorted(rounds[:100]) == sorted(rounds[200:]) == list(range(100))
    assert rounds[:100] != rounds[100:200]


def test_a_gate_of_what_does_not_exist_is_not_held() -> None:
    """It has no value, and neither holds nor fails; others are judged by the median of the rounds."""
    gates = (
        Gate(name="missing", bound=0.0, lacks="wings"),
        Gate(name="rate", bound=2.0, figure=lambda one: one["a"]["records/s"]),
        Gate(name="delay", bound=1.5, figure=lambda one: one["a"]["records/s"], at_least=False),
    )
    rounds = [{"a": {"records/s": float(value)}} for value in (9, 2, 1)]

    told = report.judged(Case(name="c", title="", contestants=(NOOP,), gates=gates), rounds)

    assert [(one["value"], one["holds"]) for one in told] == [(None, None), (2.0, True), (2.0, False)]


def _bench(broker: KafkaBroker, folder: Path) -> Bench:
    return Bench(broker=broker, server="", folder=folder, base=3000)


@pytest.mark.slow
def test_a_run_counts_what_was_handled(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Headrace handles a small topic; its rate and its memory are known."""
    case = Case(name="c", title="", contestants=(NOOP,))

    figures = _bench(kafka_broker, tmp_path).measure(case, NOOP)

    assert figures["records/s"] > 0
    assert 10 < figures["MiB"] < 1000


@pytest.mark.slow
def test_a_run_that_ends_early_is_told_with_its_last_words(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """No result is made up of a process that could not begin."""
    absent = headrace("absent", 1)

    with pytest.raises(BenchError, match="has no function 'absent'"):
        _bench(kafka_broker, tmp_path).measure(Case(name="c", title="", contestants=(absent,)), absent)
