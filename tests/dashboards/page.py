"""The tables of docs/observability.md: every alert, and every metric by what exports it.

``python -m tests.dashboards.page`` writes them; the test beside it compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from dashboards.src import rules
from dashboards.src.alert import RUNBOOKS
from tests.dashboards import exported

PAGE = Path(__file__).parents[2] / "docs/observability.md"


def current(text: str) -> str:
    """Return the page with its tables as they should be: alerts, then what exports metrics."""
    rooms = (exported.operator(), exported.runtime(), exported.relay(), exported.agent(), exported.connect())
    tables = iter((_alerts(), *map(_metrics, rooms)))
    return re.sub(r"(?:^\|.*\n)+", lambda _: next(tables), text, flags=re.MULTILINE)


def _alerts() -> str:
    every = (one for group in rules.GROUPS.values() for one in group)
    rows = (f"| [{a.name}](../{RUNBOOKS}/{a.name}.md) | {a.severity} | {a.summary} |\n" for a in every)
    return "| alert | severity | meaning |\n|---|---|---|\n" + "".join(rows)


def _metrics(metrics: Iterable[exported.Exported]) -> str:
    rows = (f"| `{one.name}` | {one.type} | {', '.join(one.labels)} | {one.meaning} |\n" for one in metrics)
    return "| metric | type | labels | meaning |\n|---|---|---|---|\n" + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text()))
