"""Panels of a Grafana dashboard in Classic JSON, from a few words each. It knows no metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 24
HEIGHT = 7
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel; `queries` maps each legend to its PromQL, `instant` shows the present value alone."""

    title: str
    about: str
    unit: str
    queries: Mapping[str, str]
    instant: bool = False
    bad_from: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels side by side, as many to a line as `across` says."""

    title: str
    panels: Sequence[Panel]
    across: int = 3


def laid_out(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the panels of `rows` with numbers and places, top to bottom, without overlap."""
    made: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        made.append(_heading(row.title, len(made) + 1, y))
        y += 1
        width = WIDTH // row.across
        for index, panel in enumerate(row.panels):
            line, column = divmod(index, row.across)
            place = {"x": column * width, "y": y + line * HEIGHT, "w": width, "h": HEIGHT}
            made.append(_panel(panel, len(made) + 1, place))
        y += HEIGHT * -(-len(row.panels) // row.across)
    return made


def _heading(title: str, number: int, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "stat" if panel.instant else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": _looks(panel), "overrides": []},
        "options": _options(panel),
        "targets": [
            _target(chr(ord("A") + index), legend, expr, panel.instant)
            for index, (legend, expr) in enumerate(panel.queries.items())
        ],
    }


def _target(letter: str, legend: str, expr: str, instant: bool) -> dict[str, Any]:
    target = {"refId": letter, "expr": expr, "legendFormat": legend, "datasource": DATASOURCE}
    return target | ({"instant": True, "range": False} if instant else {"range": True})


def _looks(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_from is not None:
        steps.append({"color": "red", "value": panel.bad_from})
    return {"unit": panel.unit, "noValue": "none", "thresholds": {"mode": "absolute", "steps": steps}}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.instant:
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "textMode": "auto"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
