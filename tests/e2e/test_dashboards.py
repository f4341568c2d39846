"""What Prometheus makes of a pipeline that ran: every metric, every panel and every alert that Headrace ships."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest

from dashboards.src import queries, rules
from tests.dashboards import exported
from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]

PROMETHEUS = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1"
STORY = "[1h:10s]"
"""A range that holds all of the story, and how often to look within it."""

NOTHING_WRONG = "> 0"
"""How a query ends that shows nothing as long as nothing is wrong."""

ABSENT = ("headrace_relay_", "headrace_snapshot_")
"""How figures begin that the story, which has no relay and no Snapshot, shows none of."""

SNAPSHOT = "headrace_debezium_snapshot_rows_total"
"""The demo's outbox is empty when it is captured first: test_tables takes a snapshot of rows."""


@pytest.mark.usefixtures("told")
def test_every_metric_of_the_documentation_is_there() -> None:
    """Also those that the exporter makes of Connect's and Debezium's beans: a pattern that fits none shows nothing.

    The story has no relay, no source agent and no Snapshot, whose figures their own tests read.
    """
    others = {name for one in (*exported.relay(), *exported.agent()) for name in one.series}
    known = exported.every().keys() - others - {SNAPSHOT}
    shown = [name for name in known if not name.startswith(ABSENT)]

    until("every metric", lambda: not _missing(shown))


@pytest.mark.usefixtures("told")
def test_every_panel_shows_the_story() -> None:
    asked = [(title, expr) for title, expr in queries() if not expr.endswith(NOTHING_WRONG)]
    shown = [(title, expr) for title, expr in asked if not any(one in expr for one in (SNAPSHOT, *ABSENT, "ALERTS{"))]

    for title, expr in shown:
        until(f"something in the panel {title}", lambda: _told(expr))  # noqa: B023 - awaited at once


@pytest.mark.usefixtures("told")
def test_prometheus_understands_every_query_and_has_every_alert() -> None:
    for _, expr in queries():
        _asked(expr)
    loaded = {rule["name"] for group in _get("rules")["groups"] for rule in group["rules"]}
    assert loaded >= {rule.name for group in rules.GROUPS.values() for rule in group}


def _told(expr: str) -> bool:
    return bool(_asked(f"count(last_over_time(({expr}){STORY}))"))


def _missing(known: Iterable[str]) -> list[str]:
    return [name for name in known if not _asked(f"count(last_over_time({name}{STORY.partition(':')[0]}]))")]


def _asked(query: str) -> list[Any]:
    """Return what Prometheus finds; raises AssertionError with what it says of a query it does not understand."""
    found: list[Any] = _get(f"query?query={quote(query)}")["result"]
    return found


def _get(what: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(world.kubectl("get", "--raw", f"{PROMETHEUS}/{what}"))["data"]
    return data
