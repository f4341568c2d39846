"""What Prometheus scraped, minute by minute, and which alerts fire when: promtool evaluates the rules as they are."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dashboards.src import rules
from tests.dashboards import promtool

FILE = Path(__file__).parents[2] / "dashboards/rules/headrace.yaml"
ALERTS = {one.name: one for group in rules.GROUPS.values() for one in group}
Series = dict[str, str]
"""A series, and its value each minute, in promtool's notation (`_` is no value, `stale` the end of a series)."""

ORDERS = 'resource_namespace="shop", pipeline="orders"'
BILLING = f'{ORDERS}, consumer="billing"'
ORDERS_DB = f'{ORDERS}, connector="orders-db"'
EARLIER = f'{ORDERS_DB}, snapshot="earlier"'
BUILD = 'headrace_build_info{version="1"}'
STARTED = "process_start_time_seconds"
CONSUMER = f"headrace_consumer_desired_replicas{{{BILLING}}}"
PARCELS = f'{ORDERS}, outbox_relay="parcels"'
RELAY = (
    f'headrace_resource_condition{{{ORDERS}, kind="OutboxRelay", name="parcels", condition="Accepted", status="True"}}'
)
CONNECTOR = f"headrace_connector_restarts_total{{{ORDERS_DB}}}"
THERE: Series = {BUILD: "1x90", STARTED: "0x90", CONSUMER: "1x90", CONNECTOR: "0x90", RELAY: "1x90"}
"""An operator that runs, and the Consumer, Connector and OutboxRelay that it tells of."""


def values(notation: str) -> list[str]:
    """Return the value of each minute."""
    found: list[str] = []
    for word in notation.split():
        match re.fullmatch(r"(_|-?[\d.]+)(?:\+([\d.]+))?(?:x(\d+))?", word):
            case None:
                found.append(word)
            case again if again[1] == "_":
                found += ["_"] * int(again[3] or 1)
            case again:
                steps = range(int(again[3] or 0) + 1)
                found += [f"{float(again[1]) + step * float(again[2] or 0):g}" for step in steps]
    return found


def alone(folder: Path, alert: str) -> Path:
    """Return a rule file of one alert and what it rests on: much quicker to evaluate."""
    made = folder / f"{alert}.rules.yaml"
    groups = rules.groups()["groups"]
    kept = [{**one, "rules": [rule for rule in one["rules"] if rule.get("alert") in (None, alert)]} for one in groups]
    made.write_text(json.dumps({"groups": kept}))
    return made


def document(
    series: Mapping[str, str],
    minutes: Iterable[int],
    alerts: Iterable[str] = tuple(ALERTS),
    file: Path = FILE,
    scrape: str = "1m",
) -> Any:
    """Return the test that promtool is given: in each of `minutes` nothing fires, so that it says what does."""
    return {
        "rule_files": [str(file)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": scrape,
                "input_series": [{"series": name, "values": told} for name, told in (THERE | dict(series)).items()],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []}
                    for minute in minutes
                    for name in alerts
                ],
            }
        ],
    }


def told(document: Any) -> str:
    """Return what promtool says of a test."""
    with tempfile.NamedTemporaryFile("w", prefix="headrace-rules-", suffix=".yaml") as file:
        json.dump(document, file)
        file.flush()
        said = promtool.run("test", "rules", file.name).stdout
    assert "Unit Testing:" in said, said
    return said


def minutes(text: str) -> set[int]:
    """Return when an alert fired, of what promtool said about a test of one alert."""
    times = re.findall(r"time: (?:(\d+)h)?(?:(\d+)m)?(?:0s)?,", text)
    found = {int(hours or 0) * 60 + int(rest or 0) for hours, rest in times}
    assert found or "SUCCESS" in text, text
    return found
