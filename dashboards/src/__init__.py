"""Dashboards and alert rules as code; `python -m dashboards.src` writes the files made from them."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.src.overview import dashboard

VARIABLES = {"$namespace": ".*", "$pipeline": ".*", "$__rate_interval": "1m"}


def queries(interval: str = "1m") -> list[tuple[str, str]]:
    """Return each panel's and mark's title with each of its queries in PromQL, the variables open to everything.

    `interval` is how long a bar is, as Prometheus writes durations.
    """
    variables = VARIABLES | {"$__interval": interval}
    board = dashboard()
    asked = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]
    marks = [(mark["name"], mark["expr"]) for mark in board["annotations"]["list"]]
    return [(title, _filled(expr, variables)) for title, expr in (*asked, *marks)]


def _filled(expr: str, variables: Mapping[str, str]) -> str:
    for name, value in variables.items():
        expr = expr.replace(name, value)
    return expr
