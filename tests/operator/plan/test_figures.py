"""Figures alone are written at most every ten seconds, what moves at rest never; anything else at once."""

from __future__ import annotations

from typing import Any

import pytest

from headrace_operator.plan.figures import EVERY, SELDOM, due

BEFORE: dict[str, Any] = {
    "observedGeneration": 1,
    "conditions": [{"type": "Ready", "status": "True"}],
    "replicas": 1,
    "lag": {"records": 10},
    "deadLetters": {"outstanding": 0},
    "scaling": {"desired": 1, "reason": "Steady", "message": "1 to 1", "arrivalsPerSecond": 10.0},
}


@pytest.mark.parametrize(
    "change",
    [
        {"lag": {"records": 11}},
        {"lagSeconds": 3, "offsets": [{"lsn": 2}]},
        {"scaling": {**BEFORE["scaling"], "message": "1 to 1 again", "arrivalsPerSecond": 31.0}},
        {"conditions": [{"type": "Ready", "status": "True", "message": "request 2"}]},
    ],
)
def test_figures_wait(change: dict[str, Any]) -> None:
    after = {**BEFORE, **change}

    assert not due(BEFORE, after, EVERY - 0.1)
    assert due(BEFORE, after, EVERY)
    assert due(BEFORE, after, None)


@pytest.mark.case("databases-10")
@pytest.mark.case("clusters-1")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"offsets": [{"lsn": 1}]}, {"offsets": [{"lsn": 2}]}),
        ({"offsets": [{"lsn": 1}], "lagSeconds": 0}, {"offsets": [{"lsn": 2}], "lagSeconds": 2}),
        ({"lagBytes": 0}, {"lagBytes": 4096}),
    ],
)
def test_what_moves_at_rest_is_never_written_for_itself(before: dict[str, Any], after: dict[str, Any]) -> None:
    """By heartbeats each ten seconds: a thousand Connectors that rest write nothing, and with something else, all."""
    assert not due({**BEFORE, **before}, {**BEFORE, **after}, 100 * SELDOM)
    assert not due({**BEFORE, **before}, {**BEFORE, **after}, None)
    assert due({**BEFORE, **before}, {**BEFORE, **after, "replicas": 2}, 0.0)


def _lagging(records: int, seconds: int | None, **scaling: float | str) -> dict[str, Any]:
    lag = {"records": records, "partitions": [{"partition": 0, "records": records}]}
    lag |= {} if seconds is None else {"seconds": seconds}
    return {**BEFORE, "lag": lag, "scaling": {**BEFORE["scaling"], **scaling}}


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_lagging(0, 0), _lagging(3, 0)),
        (_lagging(900, 5), _lagging(40, 1)),
        (_lagging(900, 5), _lagging(1200, 6, arrivalsPerSecond=19.5, message="told anew")),
        (_lagging(3, 0), _lagging(3, 0, arrivalsPerSecond=5.0)),
        (_lagging(0, 0, arrivalsPerSecond=0.0), _lagging(0, 0, arrivalsPerSecond=0.8)),
    ],
)
def test_what_is_on_its_way_waits_long(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Metrics have it at each look; of a thousand Consumers that are well it would be a hundred writes a second."""
    assert not due(before, after, SELDOM - 0.1)
    assert due(before, after, SELDOM)


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_lagging(3, 1), _lagging(0, 0)),
        (_lagging(3, 1), _lagging(3, 7)),
        (_lagging(3, 60), _lagging(3, 1)),
        (_lagging(0, 0), _lagging(3, None)),
        (_lagging(3, 1), _lagging(3, 1, arrivalsPerSecond=22.0)),
        (_lagging(3, 1), _lagging(3, 1, arrivalsPerSecond=0.0)),
        (_lagging(3, 1), _lagging(3, 1, fewerSince="2030-01-01T12:00:00Z")),
        ({**BEFORE, "lagSeconds": 5}, {**BEFORE, "lagSeconds": 7}),
        ({**BEFORE, "lagSeconds": 7}, {**BEFORE, "lagSeconds": 5}),
        ({**BEFORE, "lagBytes": 0}, {**BEFORE, "lagBytes": 2**25}),
        (BEFORE, {**BEFORE, "offsets": [{"lsn": 1}]}),
        ({**BEFORE, "offsets": [{"lsn": 1}]}, BEFORE),
    ],
)
def test_what_stays_or_grows_or_ends_does_not_wait_long(before: dict[str, Any], after: dict[str, Any]) -> None:
    """The end of a wait, a backlog, another rate, the first offsets, and what the next decision rests on."""
    assert not due(before, after, EVERY - 0.1)
    assert due(before, after, EVERY)


@pytest.mark.parametrize(
    "change",
    [
        {"observedGeneration": 2},
        {"conditions": [{"type": "Ready", "status": "False"}]},
        {"replicas": 2},
        {"deadLetters": {"outstanding": 1}},
        {"scaling": {**BEFORE["scaling"], "desired": 2}},
    ],
)
def test_transitions_do_not_wait(change: dict[str, Any]) -> None:
    assert due(BEFORE, {**BEFORE, **change}, 0.0)


def test_what_is_equal_is_never_written() -> None:
    assert not due(BEFORE, dict(BEFORE), None)
