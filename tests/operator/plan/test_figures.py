"""Figures alone are written at most every ten seconds, offsets alone more seldom; anything else at once."""

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
        {"scaling": {**BEFORE["scaling"], "message": "1 to 1 again", "arrivalsPerSecond": 11.0}},
        {"conditions": [{"type": "Ready", "status": "True", "message": "request 2"}]},
    ],
)
def test_figures_wait(change: dict[str, Any]) -> None:
    after = {**BEFORE, **change}

    assert not due(BEFORE, after, EVERY - 0.1)
    assert due(BEFORE, after, EVERY)
    assert due(BEFORE, after, None)


@pytest.mark.case("databases-10")
def test_offsets_alone_wait_long() -> None:
    """Heartbeats move them each ten seconds: a thousand Connectors that rest would be a hundred writes a second."""
    after = {**BEFORE, "offsets": [{"lsn": 2}]}

    assert not due(BEFORE, after, SELDOM - 0.1)
    assert due(BEFORE, after, SELDOM)
    assert due(BEFORE, after, None)
    assert due(BEFORE, {**after, "replicas": 2}, 0.0)


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
