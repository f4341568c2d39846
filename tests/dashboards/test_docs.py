"""docs/observability.md lists exactly the metrics that are exported and the alerts that there are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from dashboards.src import rules
from tests.dashboards import exported

PAGE = (Path(__file__).parents[2] / "docs/observability.md").read_text()


def table(metrics: Iterable[exported.Exported]) -> str:
    """Return metrics as the page lists them."""
    rows = (f"| `{one.name}` | {one.type} | {', '.join(one.labels)} | {one.meaning} |\n" for one in metrics)
    return "| metric | type | labels | meaning |\n|---|---|---|---|\n" + "".join(rows)


def alerts() -> str:
    """Return the alerts as the page lists them."""
    every = (one for group in rules.GROUPS.values() for one in group)
    rows = (f"| [{a.name}](../{rules.RUNBOOKS}/{a.name}.md) | {a.severity} | {a.summary} |\n" for a in every)
    return "| alert | severity | meaning |\n|---|---|---|\n" + "".join(rows)


@pytest.mark.parametrize("room", ["operator", "runtime", "connect"])
def test_metrics_are_those_that_are_exported(room: str) -> None:
    """Name, type, labels and meaning; a difference shows the table to put there."""
    wanted = table({"operator": exported.operator, "runtime": exported.runtime, "connect": exported.connect}[room]())

    assert wanted in PAGE, f"docs/observability.md should have:\n{wanted}"


def test_alerts_are_those_of_the_rules() -> None:
    """Name, severity and summary."""
    assert alerts() in PAGE, f"docs/observability.md should have:\n{alerts()}"


def test_no_other_metric_or_alert_is_listed() -> None:
    """What is gone from the code is gone from the page."""
    listed = [line for line in PAGE.splitlines() if line.startswith(("| `headrace_", "| [Headrace"))]

    assert len(listed) == sum(
        len(found) for found in (exported.operator(), exported.runtime(), exported.connect(), alerts().splitlines()[2:])
    )
