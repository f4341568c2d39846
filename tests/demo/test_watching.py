"""What the demo says of what it sees: ready for the present generation, and figures that may be unknown."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from tests.demo import view, watching


def resource(*, ready: str | None, observed: int = 2) -> dict[str, Any]:
    """Return a Consumer of generation 2 with a Ready condition, or with none."""
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "TopicMissing",
        "message": "no topic",
        "observedGeneration": observed,
    }
    conditions = [] if ready is None else [condition]
    return {
        "kind": "Consumer",
        "metadata": {"name": "billing", "generation": 2},
        "status": {"conditions": conditions},
    }


@pytest.mark.parametrize(
    ("ready", "observed", "answer"),
    [
        ("True", 2, (True, "Consumer billing: ready")),
        ("True", 1, (False, "Consumer billing: TopicMissing: no topic")),
        ("False", 2, (False, "Consumer billing: TopicMissing: no topic")),
        (None, 2, (False, "Consumer billing: no condition yet (is the operator running?)")),
    ],
)
def test_readiness_is_of_the_present_generation(ready: str | None, observed: int, answer: tuple[bool, str]) -> None:
    """A condition about an older spec does not count."""
    assert watching.readiness(resource(ready=ready, observed=observed)) == answer


def test_a_sparkline_spans_from_zero_to_the_highest() -> None:
    """Nothing is a low bar, the highest a full one."""
    assert view.sparkline(deque([0, 5, 10])) == "▁▄█"
    assert view.sparkline(deque([0, 0])) == "▁▁"


def test_unknown_figures_are_shown_as_unknown() -> None:
    """A status that is not there yet is no zero."""
    figures = view.Figures(
        seconds=3,
        orders=100,
        written=40,
        captured=None,
        handled=20,
        retried=1,
        refused=0,
        lag_records=None,
        lag_seconds=None,
        dead_letters=None,
        replicas=2,
        ready=1,
    )

    assert figures.line() == (
        "   3 s  written 40/100  captured ?  handled 20  lag ? (? s)  retries 1  dead letters ?  replicas 1/2"
    )
