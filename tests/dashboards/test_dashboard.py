"""The dashboard is sound, is what its source makes, and asks only for metrics that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from dashboards.src import __main__ as generate
from dashboards.src import overview, queries, rules
from headrace.config import Config, Handler, Kafka, Python, Topics
from headrace.metrics import Metrics
from headrace_operator.metrics import Fleet

ROOT = Path(__file__).parents[2]
CONFIG = Config(
    namespace="shop",
    consumer="billing",
    pipeline="orders",
    group="g",
    kafka=Kafka(bootstrap_servers="kafka:9092"),
    topics=Topics(sources=("orders",), retry="r", dead_letters="d", resolutions="s"),
    handler=Handler(python=Python(function="billing:handle")),
)
WORD = re.compile(r"headrace_[a-z0-9_]+")


@pytest.mark.parametrize("path", generate.files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_file_is_current(path: Path) -> None:
    """`make generate` would change nothing."""
    assert path.read_text() == generate.files()[path]


def test_panels_are_numbered_placed_and_explained() -> None:
    """No number or place is used twice, and each panel says what it shows, in which unit."""
    panels = overview.dashboard()["panels"]
    taken = [cell for panel in panels for cell in _cells(panel["gridPos"])]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(taken)) == len(taken)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_every_query_leaves_no_variable() -> None:
    """The queries can be asked of any Prometheus."""
    asked = queries()

    assert len(asked) >= 36
    assert not [(panel, expr) for panel, expr in asked if "$" in expr]


def test_every_metric_asked_for_exists() -> None:
    """Dashboard and alerts ask only for what the operator, the runtime or the exporter's rules say."""
    alerts = [one.expr for group in rules.GROUPS.values() for one in group]
    asked = {word for text in (*[expr for _, expr in queries()], *alerts) for word in WORD.findall(text)}

    assert not asked - _said()


def _said() -> set[str]:
    exporter = yaml.safe_load((ROOT / "connectors/connect/jmx-exporter.yaml").read_text())
    named = {rule["name"] for rule in exporter["rules"] if "name" in rule}
    return named | _names(Fleet().registry) | _names(Metrics(CONFIG).registry)


def _names(registry: CollectorRegistry) -> set[str]:
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    return {metric.name + end for metric in registry.collect() for end in ends.get(metric.type, ())}


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y
