"""The overview: is it well, what comes in, what is handled, what the operator does. It writes no file."""

from __future__ import annotations

from typing import Any

from dashboards.src.panels import DATASOURCE, Panel, Row, laid_out

UID = "headrace-overview"
WHERE = 'resource_namespace=~"$namespace", pipeline=~"$pipeline"'
ONLY = 'resource_namespace=~"$namespace"'
NAME = "{{resource_namespace}}/{{consumer}}"
SOURCE = "{{resource_namespace}}/{{connector}}"
K = "resource_namespace, consumer"
C = "resource_namespace, connector"


def _sum(by: str, metric: str, more: str = "") -> str:
    return f"sum by ({by}) ({metric}{{{WHERE}{more}}})"


def _max(by: str, metric: str) -> str:
    return f"max by ({by}) ({metric}{{{WHERE}}})"


def _rate(by: str, metric: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{WHERE}{more}}}[$__rate_interval]))"


def _quantiles(metric: str) -> dict[str, str]:
    rate = f"sum by (le, {K}) (rate({metric}_bucket{{{WHERE}}}[$__rate_interval]))"
    return {f"{NAME} p{share}": f"histogram_quantile(0.{share}, {rate})" for share in (50, 95, 99)}


def _count(metric: str, more: str) -> str:
    return f"sum({metric}{{{WHERE}{more}}}) or vector(0)"


def _well() -> Row:
    unready = ', condition="Ready", status!="True"'
    failed = ', state="FAILED"'
    lag, dead = f"max(headrace_consumer_lag_seconds{{{WHERE}}})", _count("headrace_dlq_outstanding_messages", "")
    panels = (
        ("Not Ready", "Resources whose Ready condition is not True.", _count("headrace_resource_condition", unready)),
        ("Failed connectors", "Connectors in state FAILED.", _count("headrace_connector_state", failed)),
        ("Failed tasks", "Tasks in state FAILED.", _count("headrace_connector_tasks", failed)),
        ("Dead letters", "Dead letters neither redriven nor discarded.", dead),
    )
    counts = [
        Panel(title=title, about=about, unit="short", queries={title: expr}, instant=True, bad_from=1)
        for title, about, expr in panels
    ]
    age = Panel(
        title="Oldest record", about="Longest wait of any unhandled record.", unit="s", queries={"": lag}, instant=True
    )
    ready = Panel(
        title="Ready",
        about="Resources whose Ready condition is True.",
        unit="short",
        queries={"Ready": _count("headrace_resource_condition", ', condition="Ready", status="True"')},
        instant=True,
    )
    return Row(title="Is it well", panels=(*counts, age, ready), across=6)


def _capture() -> Row:
    events = f"sum by ({C}) (rate(headrace_debezium_source_events_total{{{ONLY}}}[$__rate_interval]))"
    queue = (
        f"1 - max by ({C}) (headrace_debezium_queue_remaining{{{ONLY}}})"
        f" / max by ({C}) (headrace_debezium_queue_capacity{{{ONLY}}})"
    )
    return Row(
        title="Capture",
        panels=(
            Panel(title="Captured changes", about="Changes Debezium read.", unit="ops", queries={SOURCE: events}),
            Panel(
                title="Behind the database",
                about="Time from commit to Debezium; -0.001 while nothing has come.",
                unit="s",
                queries={SOURCE: f"max by ({C}) (headrace_debezium_source_lag_seconds{{{ONLY}}})"},
            ),
            Panel(
                title="Since the last change",
                about="Age of the last change that Debezium read.",
                unit="s",
                queries={SOURCE: f"max by ({C}) (headrace_debezium_last_event_age_seconds{{{ONLY}}})"},
            ),
            Panel(
                title="Connected",
                about="1 while Debezium holds its connection to the database.",
                unit="short",
                queries={SOURCE: f"max by ({C}) (headrace_debezium_source_connected{{{ONLY}}})"},
            ),
            Panel(
                title="Queue filled", about="Debezium's queue to Kafka.", unit="percentunit", queries={SOURCE: queue}
            ),
            Panel(
                title="Tasks by state",
                about="Tasks of each connector.",
                unit="short",
                queries={f"{SOURCE} {{{{state}}}}": _sum(f"{C}, state", "headrace_connector_tasks")},
            ),
        ),
    )


def _backlog() -> Row:
    lag = {
        NAME: _max(K, "headrace_consumer_lag_seconds"),
        f"{NAME} target": _max(K, "headrace_consumer_slo_lag_seconds"),
    }
    flow = {
        f"{NAME} written": f"sum by ({K}) (clamp_min(deriv(headrace_consumer_end_offset{{{WHERE}}}[1m]), 0))",
        f"{NAME} handled": _rate(K, "headrace_consumer_records_total"),
    }
    replicas = {
        f"{NAME} {word}": _max(K, f"headrace_consumer_{word}_replicas") for word in ("min", "desired", "ready", "max")
    }
    backlog = {f"{NAME} {{{{role}}}}": _sum(f"{K}, role", "headrace_consumer_lag_messages")}
    return Row(
        title="Consumers: backlog and capacity",
        panels=(
            Panel(title="Backlog", about="Records not handled yet, source and retry.", unit="short", queries=backlog),
            Panel(title="Wait against target", about="Age of the oldest unhandled record.", unit="s", queries=lag),
            Panel(
                title="Written and handled", about="Records a second into topics and done.", unit="ops", queries=flow
            ),
            Panel(title="Replicas", about="Allowed, wanted and ready replicas.", unit="short", queries=replicas),
            Panel(
                title="In flight",
                about="Records being handled now.",
                unit="short",
                queries={NAME: _sum(K, "headrace_consumer_in_flight")},
            ),
            Panel(
                title="Commits held back",
                about="How long the oldest unfinished record has held back commits.",
                unit="s",
                queries={NAME: _max(K, "headrace_consumer_frontier_age_seconds")},
            ),
        ),
    )


def _handling() -> Row:
    letters = {f"{NAME} {{{{reason}}}}": _rate(f"{K}, reason", "headrace_consumer_dead_letters_total")}
    return Row(
        title="Consumers: handling",
        panels=(
            Panel(
                title="Attempts by outcome",
                about="Attempts a second.",
                unit="ops",
                queries={f"{NAME} {{{{outcome}}}}": _rate(f"{K}, outcome", "headrace_consumer_attempts_total")},
            ),
            Panel(
                title="Retries",
                about="Attempts a second after the first.",
                unit="ops",
                queries={NAME: _rate(K, "headrace_consumer_retries_total")},
            ),
            Panel(title="New dead letters", about="Dead letters a second by reason.", unit="ops", queries=letters),
            Panel(
                title="Handler",
                about="Time one attempt takes.",
                unit="s",
                queries=_quantiles("headrace_consumer_processing_duration_seconds"),
            ),
            Panel(
                title="End to end",
                about="Time from a record's timestamp to its success.",
                unit="s",
                queries=_quantiles("headrace_end_to_end_latency_seconds"),
            ),
            Panel(
                title="Rebalances",
                about="Assignments received a second.",
                unit="ops",
                queries={NAME: _rate(K, "headrace_consumer_rebalances_total")},
            ),
        ),
    )


def _operator() -> Row:
    passes = "sum by (kind, outcome) (rate(headrace_operator_reconciliations_total[$__rate_interval]))"
    buckets = "sum by (le, kind) (rate(headrace_operator_reconciliation_duration_seconds_bucket[$__rate_interval]))"
    slow = {"{{kind}} p95": f"histogram_quantile(0.95, {buckets})"}
    versions = {"{{version}}": "max by (version) (headrace_build_info)"}
    return Row(
        title="Operator",
        panels=(
            Panel(title="Passes", about="Passes a second.", unit="ops", queries={"{{kind}} {{outcome}}": passes}),
            Panel(title="Length of a pass", about="95 of 100 passes are shorter.", unit="s", queries=slow),
            Panel(title="Running", about="1 for the version that runs.", unit="short", queries=versions),
        ),
    )


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    return {
        "uid": UID,
        "title": "Headrace / Overview",
        "tags": ["headrace"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [_source(), _variable("namespace", "resource_namespace"), _variable("pipeline", "pipeline")]
        },
        "annotations": {"list": []},
        "panels": laid_out((_well(), _capture(), _backlog(), _handling(), _operator())),
    }


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(name: str, label: str) -> dict[str, Any]:
    query = f"label_values(headrace_resource_condition, {label})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
