"""What the demo says of what it sees: ready for the present generation, and figures that may be unknown."""

from __future__ import annotations

import io
from collections import deque
from typing import Any

import pytest
from rich.console import Console

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


def test_the_live_picture_has_every_figure() -> None:
    """Each number is there by its name, and lag and replicas have a course."""
    console = Console(file=io.StringIO(), record=True, force_terminal=True, width=120)
    before = seen(seconds=60, written=12_000, handled=9_000, lag_records=3_000, ready=1)
    now = seen(seconds=61, written=12_345, handled=9_876, lag_records=1_500, ready=3)

    with view.View(console=console) as shown:
        shown.show(before)
        shown.show(now)
    picture = console.export_text(styles=False).rpartition("╭")[2]

    lines = [" ".join(line.strip("│ ").split()) for line in picture.splitlines()]
    rows = {line.partition(" ")[0]: line for line in lines}
    assert rows["written"].endswith("12345 of 20000 · 345/s")
    assert rows["captured"].endswith("11111 of 20000 · 0/s")
    assert rows["handled"].endswith("9876 of 20000 · 876/s")
    assert rows["lag"] == "lag █▄ 1500 records, 4 s"
    assert rows["replicas"] == "replicas ▃█ 3 ready of 4 wanted"
    assert rows["retries"] == "retries 17"
    assert rows["dead"] == "dead letters 5"
    assert shown.most_replicas == 3


def seen(*, seconds: float, written: int, handled: int, lag_records: int, ready: int) -> view.Figures:
    """Return what was seen in the middle of a burst."""
    return view.Figures(
        seconds=seconds,
        orders=20_000,
        written=written,
        captured=11_111,
        handled=handled,
        retried=17,
        refused=5,
        lag_records=lag_records,
        lag_seconds=4,
        dead_letters=5,
        replicas=4,
        ready=ready,
    )
