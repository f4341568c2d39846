"""The dashboard is sound, is what its source makes, and asks only for what exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from dashboards.src import __main__ as generate
from dashboards.src import overview, queries, rules
from dashboards.src.alert import RUNBOOKS
from headrace.metrics import Metrics
from headrace_operator.metrics import Fleet
from tests.dashboards import exported, promtool
from tests.runtime.configs import BILLING

ROOT = Path(__file__).parents[2]
BOARD = overview.dashboard()
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
ALERTS = [(one.name, one.expr) for group in rules.GROUPS.values() for one in group]
RULES = [*rules.RECORDS.items(), *ALERTS]
SCRAPED = {"namespace", "pod", "job", "instance"}
"""Labels that Prometheus itself puts on every series."""


@pytest.mark.parametrize("path", generate.files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_file_is_current(path: Path) -> None:
    """`make generate` would change nothing."""
    assert path.read_text() == generate.files()[path]


def test_board_is_what_grafana_loads_from_a_file() -> None:
    """Classic schema, a lasting uid, a title, panel types that Grafana still has, and no input to fill in."""
    assert BOARD["uid"] == "headrace-overview"
    assert BOARD["title"]
    assert BOARD["schemaVersion"] >= 39
    assert not {"elements", "apiVersion", "__inputs", "id"} & set(BOARD)
    assert {panel["type"] for panel in BOARD["panels"]} <= {"row", "stat", "timeseries", "state-timeline"}


def test_panels_are_numbered_and_placed() -> None:
    """No number or place is used twice, nothing hangs over the edge, and titles tell panels apart."""
    panels = BOARD["panels"]
    taken = [cell for panel in panels for cell in _cells(panel["gridPos"])]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_explains_itself(panel: dict[str, Any]) -> None:
    """It says what is good and what to do, has a unit, and asks the data source that was chosen."""
    assert re.search(r"good|should", panel["description"])
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {source["uid"] for source in (panel["datasource"], *_sources(panel))} == {"${datasource}"}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_no_question_is_asked_twice() -> None:
    """No two panels show the same."""
    asked = [target["expr"] for panel in PANELS for target in panel["targets"]]

    assert len(set(asked)) == len(asked)


def test_every_variable_is_used_and_none_is_unknown() -> None:
    """Once filled in, a query can be asked of any Prometheus."""
    raw = str(BOARD["panels"])
    declared = {one["name"] for one in BOARD["templating"]["list"]}

    assert declared == {name for name in ("datasource", "namespace", "pipeline") if re.search(rf"\$\{{?{name}", raw)}
    assert not [(panel, expr) for panel, expr in queries() if "$" in expr]


@pytest.mark.parametrize(("title", "expr"), [*queries(), *RULES], ids=lambda part: part[:40])
def test_query_asks_for_what_is_exported(title: str, expr: str) -> None:
    """Each metric is exported by operator, runtime or Connect, with the labels that are matched and grouped by."""
    for record in reversed(rules.RECORDS):
        expr = expr.replace(record, f"({rules.RECORDS[record]})")
    known = exported.every()
    names = set(re.findall(r"headrace_[a-z0-9_]+", expr))
    assert names <= set(known), title

    labels = SCRAPED | {"le"} | {label for name in names for label in known[name].labels}
    for name, matchers in re.findall(r"(headrace_\w+)\{([^}]*)\}", expr):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= set(known[name].labels), (title, name)
    made = set(re.findall(r'label_replace\(.*?, "(\w+)", "', expr))
    for listed in re.findall(r"(?:by|on) \(([^)]*)\)", expr):
        assert set(listed.split(", ")) <= labels | made, (title, listed)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_legend_names_what_the_query_keeps(panel: dict[str, Any]) -> None:
    """A legend with a label that was summed away would be blank."""
    for target in panel["targets"]:
        kept = {label for listed in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in listed.split(", ")}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def test_queries_are_promql(tmp_path: Path) -> None:
    """Prometheus' own parser reads them all."""
    records = [{"record": f"headrace:query{number}", "expr": expr} for number, (_, expr) in enumerate(queries())]
    document = {"groups": [{"name": "queries", "rules": records}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document))

    done = promtool.run("check", "rules", str(tmp_path / "rules.yaml"))

    assert done.returncode == 0, done.stdout


def test_no_panel_is_empty_while_all_is_well(tmp_path: Path) -> None:
    """Idle and healthy, each query has an answer, mostly zero, save those for what goes wrong: they end in `> 0`."""
    asked = [expr for title, expr in queries() if title != "Alerts" and not expr.endswith("> 0")]
    test = {
        "rule_files": [],
        "tests": [
            {
                "interval": "10s",
                "input_series": [
                    {"series": name, "values": f"{value:g}x90"} for name, value in exported.scraped().items()
                ],
                "promql_expr_test": [{"expr": expr, "eval_time": "10m", "exp_samples": []} for expr in asked],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(json.dumps(test))

    done = promtool.run("test", "rules", str(tmp_path / "test.yaml"))

    answered = re.findall(r'expr: "(.*)", time: 10m,', done.stdout)
    assert not [expr for expr in asked if expr.replace('"', r"\"") not in answered], done.stdout[:2000]


@pytest.mark.parametrize("registry", [Fleet().registry, Metrics(BILLING).registry], ids=["operator", "runtime"])
def test_metrics_are_named_as_prometheus_advises(registry: CollectorRegistry) -> None:
    """promtool finds no fault with names, units and help."""
    done = promtool.run("check", "metrics", stdin=generate_latest(registry).decode())

    assert done.returncode == 0, done.stdout


def test_runbooks_name_panels_that_exist() -> None:
    """What a page calls *so* is a panel or an alert."""
    titles = {panel["title"] for panel in PANELS} | {name for name, _ in ALERTS}
    named = {
        (path.stem, name)
        for path in (ROOT / RUNBOOKS).glob("*.md")
        for name in re.findall(r"(?<!\*)\*([A-Z][\w ]+)\*(?!\*)", path.read_text())
    }

    assert not [(page, name) for page, name in named if name not in titles]


def _sources(panel: dict[str, Any]) -> list[dict[str, str]]:
    return [target["datasource"] for target in panel["targets"]]


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y
