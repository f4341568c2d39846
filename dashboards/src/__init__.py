"""Dashboards and alert rules as code; `python -m dashboards.src` writes the files made from them."""

from __future__ import annotations

from dashboards.src.overview import dashboard

VARIABLES = {"$namespace": ".*", "$pipeline": ".*", "$__rate_interval": "1m"}


def queries() -> list[tuple[str, str]]:
    """Return each panel's title with each of its queries in PromQL, the template variables open to everything."""
    return [
        (panel["title"], _filled(target["expr"]))
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    ]


def _filled(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr
