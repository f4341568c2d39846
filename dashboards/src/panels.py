"""Panels of a Grafana dashboard in Classic JSON, from a few words each. It knows no metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BOUNDS = {
    "matcher": {"id": "byRegexp", "options": "/ (target|min|max)$/"},
    "properties": [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
        {"id": "custom.fillOpacity", "value": 0},
    ],
}
"""How lines are drawn that are no measurements."""

WRONG = {
    "matcher": {"id": "byRegexp", "options": "/: (FAILED|UNASSIGNED|MissingData)$/"},
    "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}],
}
"""The states that are no good ones."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel; `queries` maps each legend to its PromQL, `about` says what is good and what to do otherwise.

    `states` draws each series as a bar while it exists, `number` shows the present value alone; `bars` counts events.
    Values from `bad_from` on are red, and so are those below `bad_below`.
    """

    title: str
    about: str
    unit: str
    queries: Mapping[str, str]
    shape: Literal["lines", "bars", "number", "states"] = "lines"
    bad_from: float | None = None
    bad_below: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """Panels side by side, as many to a line as `across` says."""

    title: str
    panels: Sequence[Panel]
    across: int = 3
    height: int = 8


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
            place = {"x": column * width, "y": y + line * row.height, "w": width, "h": row.height}
            made.append(_panel(panel, len(made) + 1, place))
        y += row.height * -(-len(row.panels) // row.across)
    return made


def _heading(title: str, number: int, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    kinds = {"lines": "timeseries", "bars": "timeseries", "number": "stat", "states": "state-timeline"}
    return {
        "id": number,
        "type": kinds[panel.shape],
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": _looks(panel), "overrides": [BOUNDS, WRONG]},
        "options": _options(panel),
        "targets": [
            _target(chr(ord("A") + index), legend, expr, panel.shape == "number")
            for index, (legend, expr) in enumerate(panel.queries.items())
        ],
    }


def _target(letter: str, legend: str, expr: str, instant: bool) -> dict[str, Any]:
    target = {"refId": letter, "expr": expr, "legendFormat": legend, "datasource": DATASOURCE}
    return target | ({"instant": True, "range": False} if instant else {"range": True})


def _looks(panel: Panel) -> dict[str, Any]:
    looks = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": _steps(panel)}}
    match panel.shape:
        case "number":
            return looks
        case "states":
            return looks | {
                "custom": {"fillOpacity": 70, "lineWidth": 0},
                "color": {"mode": "fixed", "fixedColor": "blue"},
            }
        case "lines" | "bars":
            drawn = {"drawStyle": panel.shape.removesuffix("s"), "lineWidth": 1, "showPoints": "auto"}
            fill = {"fillOpacity": 10 if panel.shape == "lines" else 60}
            limit = {"thresholdsStyle": {"mode": "dashed" if panel.bad_from is not None else "off"}}
            return looks | {"min": 0, "custom": {**drawn, **fill, **limit}}


def _steps(panel: Panel) -> list[dict[str, Any]]:
    if panel.bad_below is not None:
        return [{"color": "red", "value": None}, {"color": "green", "value": panel.bad_below}]
    bad = [] if panel.bad_from is None else [{"color": "red", "value": panel.bad_from}]
    return [{"color": "green", "value": None}, *bad]


def _options(panel: Panel) -> dict[str, Any]:
    match panel.shape:
        case "number":
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "none"}
        case "states":
            return {"showValue": "never", "mergeValues": True, "legend": {"showLegend": False}}
        case "lines" | "bars":
            legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
