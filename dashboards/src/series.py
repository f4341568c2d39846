"""Gauges as rules read them: also over scrapes that fail, and while the operator is restarted."""

from __future__ import annotations

GAP = "3m"
"""Holds a sample also while two scrapes fail that are a minute apart."""


def told(metric: str) -> str:
    """Return a gauge as the operator tells it or, while no operator is scraped or one has just started, told it."""
    return f"({metric} or last_over_time({metric}[4m]) unless on (namespace) headrace:operator_settled)"


def last(metric: str, by: str) -> str:
    """Return the last value of a gauge, whichever pod told it."""
    return f"max by ({by}) (last_over_time({metric}[{GAP}]))"


def risen(metric: str, by: str, window: str) -> str:
    """Return by how much a gauge is above its least of `window`, whichever pods told it."""
    return f"{last(metric, by)} - min by ({by}) (min_over_time({metric}[{window}])) > 0"
