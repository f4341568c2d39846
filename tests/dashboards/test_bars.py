"""What happened is in one bar, and each change has its mark, at any length of scrapes and bars: judged by promtool."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from dashboards.src import queries
from tests.dashboards import promtool

pytestmark = [pytest.mark.slow, pytest.mark.case("seeing-2")]

BARS = 'resource_namespace="shop", pipeline="orders", consumer="bars"'
LENGTH = 1800
SCRAPES, STEPS = (5, 15, 30, 60), (15, 30, 60, 120, 600)
LETTERS = [611 + 33 * number for number in range(6)]
"""Seconds at which a dead letter arrives."""

Told = list[float | None]
"""What a series is at each scrape; None where a scrape failed or the pod is not there."""


def _counter(scrape: int, events: Sequence[int], born: int = 0, died: int = LENGTH) -> Told:
    times = range(0, LENGTH, scrape)
    return [float(sum(event <= at for event in events)) if born <= at <= died else None for at in times]


def _drawn(folder: Path, title: str, scrape: int, step: int, series: dict[str, Told]) -> list[float]:
    """Return the sum of each bar of a panel, or the marks, that is not nothing; bars begin between two scrapes."""
    exprs = [expr for name, expr in queries(f"{step}s") if name == title]
    times = [*range(step + 3, LENGTH, step), (LENGTH // step) * step + 3]
    test = {
        "interval": f"{scrape}s",
        "input_series": [{"series": name, "values": _notation(told)} for name, told in series.items()],
        "promql_expr_test": [
            {"expr": expr, "eval_time": f"{at}s", "exp_samples": []} for expr in exprs for at in times
        ],
    }
    path = folder / "test.yaml"
    path.write_text(json.dumps({"rule_files": [], "evaluation_interval": f"{scrape}s", "tests": [test]}))
    said = promtool.run("test", "rules", str(path)).stdout
    assert "parse error" not in said, said
    return [value for value in map(float, re.findall(r"\} (-?[\d.]+E[+-]\d+)", said)) if value]


def _notation(told: Told) -> str:
    words: list[str] = []
    for value in told:
        gone = "stale" if words and words[-1] not in ("_", "stale") else "_"
        words.append(gone if value is None else f"{value:g}")
    return " ".join(words)


def _letters(reason: str, pod: str = "a") -> str:
    return f'headrace_consumer_dead_letters_total{{{BARS}, reason="{reason}", pod="{pod}"}}'


@pytest.mark.parametrize("scrape", SCRAPES)
@pytest.mark.parametrize("step", STEPS)
def test_each_dead_letter_is_in_a_bar(tmp_path: Path, scrape: int, step: int) -> None:
    """Six, 33 s apart: none is missing, none is there twice."""
    bars = _drawn(tmp_path, "Dead letters arrived", scrape, step, {_letters("timeout"): _counter(scrape, LETTERS)})

    assert sum(bars) == 6
    assert max(bars) <= -(-max(step, scrape) // 33) + 1


@pytest.mark.parametrize("scrape", SCRAPES)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("title", ["Rebalances", "Restarts", "Errors in tasks"])
def test_each_event_of_other_panels_is_in_a_bar(tmp_path: Path, title: str, scrape: int, step: int) -> None:
    """Also of a pod that was born, that is gone again, or that was not scraped once."""
    name = {
        "Rebalances": f"headrace_consumer_rebalances_total{{{BARS}",
        "Restarts": 'headrace_connector_restarts_total{resource_namespace="shop", pipeline="orders", connector="c"',
        "Errors in tasks": 'headrace_connect_task_errors_total{resource_namespace="shop", connector="c", outcome="x"',
    }[title]
    unseen = _counter(scrape, [700, 900])
    unseen[840 // scrape] = None
    series = {
        f'{name}, pod="a"}}': unseen,
        f'{name}, pod="born"}}': _counter(scrape, [661, 1000], born=660),
        f'{name}, pod="gone"}}': _counter(scrape, [60, 601, 635], died=720),
    }

    assert sum(_drawn(tmp_path, title, scrape, step, series)) == 7


@pytest.mark.parametrize("scrape", SCRAPES)
def test_a_process_that_began_anew_counts_from_nothing(tmp_path: Path, scrape: int) -> None:
    before = _counter(scrape, [300, 310, 320, 330, 340])
    after = _counter(scrape, [1000, 1001])
    at = 960 // scrape

    assert sum(_drawn(tmp_path, "Rebalances", scrape, 60, {
        f"headrace_consumer_rebalances_total{{{BARS}}}": [*before[:at], *after[at:]]
    })) == 7  # fmt: skip


@pytest.mark.parametrize("scrape", SCRAPES)
@pytest.mark.parametrize("step", [60, 120, 600])
def test_each_change_of_replicas_has_its_mark(tmp_path: Path, scrape: int, step: int) -> None:
    """Also one between the last scrape of a bar and the first of the next; a new operator pod is no change."""
    wanted = _counter(scrape, [660, 960, 1500])
    moved = 1200 // scrape
    old: Told = [*wanted[:moved], *[None] * (len(wanted) - moved)]
    new: Told = [*[None] * (moved + 1), *wanted[moved + 1 :]]
    name = f"headrace_autoscaler_desired_replicas{{{BARS}, pod="
    marks = _drawn(tmp_path, "Scaling", scrape, step, {f'{name}"old"}}': old, f'{name}"new"}}': new})

    assert len(marks) == len({(at - 3) // step for at in (660, 960, 1500)})


def test_no_window_of_a_panel_is_shorter_than_scrapes_need() -> None:
    """A bar may be: it is compared with the one before. Rates get the window that Grafana makes for the scrapes."""
    for title, expr in queries("17s"):
        bars = re.findall(r"(\w+)\([^()]*\[17s\]", expr)
        assert set(bars) <= {"last_over_time", "changes"}, title
