"""The overview dashboard: its rows, worst first, its variables, marks and links. It writes no file."""

from __future__ import annotations

from typing import Any

from dashboards.src import consumers, outboxes, source
from dashboards.src.panels import DATASOURCE, Panel, Row, laid_out
from dashboards.src.promql import ONLY, SHARED, WHERE, K, changed, most, quantile

UID = "headrace-overview"
ALERTS = f'ALERTS{{alertname=~"Headrace.*", alertstate="firing", {SHARED}}}'

RESCALED = changed(K, "headrace_autoscaler_desired_replicas")


def _or_none(expr: str) -> str:
    """Return 0 where there is nothing, which is the healthy case; an idle division is no number and falls away."""
    return f"({expr}) > 0 or vector(0)"


def _well() -> Row:
    numbers = (*_resources_well(), *_consumers_well())
    return Row(title="Is it well?", panels=numbers, across=4, height=4)


def _resources_well() -> tuple[Panel, ...]:
    unready = f'sum(headrace_resource_condition{{condition="Ready", status!="True", {SHARED}}})'
    failed = {
        "connectors": _or_none(f'sum(headrace_connector_state{{state="FAILED", {WHERE}}})'),
        "tasks": _or_none(f'sum(headrace_connector_tasks{{state="FAILED", {WHERE}}})'),
    }
    return (
        Panel(
            title="Alerts firing",
            about="0 is good. Each alert says in its description what to type next, and its runbook what to do.",
            unit="short",
            queries={"": _or_none(f"count({ALERTS})")},
            bad_from=1,
            shape="number",
        ),
        Panel(
            title="Resources not Ready",
            about="0 is good. `kubectl get headrace -A` shows which, `kubectl describe` shows why.",
            unit="short",
            queries={"": _or_none(unready)},
            bad_from=1,
            shape="number",
        ),
        Panel(
            title="Failed connectors and tasks",
            about="0 is good. See the row Capture for which, and `kubectl describe hrconn NAME` for the trace.",
            unit="short",
            queries=failed,
            bad_from=1,
            shape="number",
        ),
        Panel(
            title="Operators that act",
            about="1 is good. At 0 nothing is healed or scaled, and most of this page stands still: see the row"
            " Operator, and `kubectl get pods -A -l app.kubernetes.io/name=headrace`.",
            unit="short",
            queries={"": "sum(headrace_operator_leader) or vector(0)"},
            bad_below=1,
            shape="number",
        ),
    )


def _consumers_well() -> tuple[Panel, ...]:
    lag, target = most(K, "headrace_consumer_lag_seconds"), most(K, "headrace_consumer_slo_lag_seconds")
    full = f"{most(K, 'headrace_consumer_desired_replicas')} >= on ({K}) {most(K, 'headrace_consumer_max_replicas')}"
    retried = f'sum(rate(headrace_consumer_attempts_total{{outcome="retry", {WHERE}}}[5m]))'
    return (
        Panel(
            title="Longest wait, of its target",
            about="Below 100 % is good: the oldest unhandled record of the worst Consumer, as a share of its"
            " targetLagSeconds. Above it, see Wait against target and Replicas.",
            unit="percentunit",
            queries={"": _or_none(f"max({lag} / on ({K}) {target})")},
            bad_from=1,
            shape="number",
        ),
        Panel(
            title="Dead letters outstanding",
            about="0 is good: records that were given up and not yet redriven. `headrace dlq list NAME` shows them.",
            unit="short",
            queries={"": _or_none(f"sum({most(K, 'headrace_dlq_outstanding_messages')})")},
            bad_from=1,
            shape="number",
        ),
        Panel(
            title="Attempts that end in a retry",
            about="Below a tenth is good. Above it the target fails or is slow: see Attempts by outcome.",
            unit="percentunit",
            queries={"": _or_none(f"{retried} / sum(rate(headrace_consumer_attempts_total{{{WHERE}}}[5m]))")},
            bad_from=0.1,
            shape="number",
        ),
        Panel(
            title="Consumers at their most, and late",
            about="0 is good. These cannot be helped by more replicas than scale.max or the partitions allow: raise"
            " them, or make the handler faster.",
            unit="short",
            queries={"": _or_none(f"count({full} and on ({K}) {lag} > on ({K}) {target})")},
            bad_from=1,
            shape="number",
        ),
    )


def _operator() -> Row:
    return Row(title="Operator: does it act?", panels=(*_passes(), *_requests(), *_process()), across=4)


def _passes() -> tuple[Panel, ...]:
    passes = "headrace_operator_reconciliations_total"
    wrong = f'{passes}{{outcome!="ok"}}'
    return (
        Panel(
            title="Passes by outcome",
            about="Passes a second over resources. `ok` is good; `failed` means the world refused and it is tried"
            " again; `bug` should never be there: report it with the log.",
            unit="ops",
            queries={
                "{{outcome}}": f"sum by (outcome) (rate({passes}[$__rate_interval]))",
                "{{kind}} {{outcome}}": f"sum by (kind, outcome) (rate({wrong}[$__rate_interval])) > 0",
            },
        ),
        Panel(
            title="Length of a pass, p95",
            about="A second or two is good. Longer ones wait for the system that Length of requests names.",
            unit="s",
            queries={"{{kind}}": quantile(95, "headrace_operator_reconciliation_duration_seconds", "kind", "")},
        ),
        Panel(
            title="Keys on the queue",
            about="About one for each resource is good, most of them not yet due. Growth without end means that"
            " passes do not keep up.",
            unit="short",
            queries={"{{namespace}}": "max by (namespace) (headrace_operator_queue_depth)"},
        ),
    )


def _requests() -> tuple[Panel, ...]:
    requests = "headrace_operator_client_request_duration_seconds"
    failed = f'{requests}_count{{outcome!~"ok|missing"}}'
    return (
        Panel(
            title="Failed requests",
            about="None is good. Requests a second that the operator made in vain, by system; a few conflicts are"
            " usual. `unauthorized` is a right or a password, `unreachable` the network or the system itself.",
            unit="reqps",
            queries={
                "{{target}}": f"sum by (target) (rate({failed}[$__rate_interval]))",
                "{{target}} {{outcome}}": f"sum by (target, outcome) (rate({failed}[$__rate_interval])) > 0",
            },
        ),
        Panel(
            title="Length of requests, p95",
            about="Below half a second is good. One slow system delays only the passes that ask it.",
            unit="s",
            queries={"{{target}}": quantile(95, requests, "target", "")},
        ),
    )


def _process() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Silence of the watches",
            about="Up to 60 s is good: the API server sends something each minute. From 180 s on the operator is"
            " restarted by its liveness probe.",
            unit="s",
            queries={"{{namespace}}": "max by (namespace) (headrace_operator_watch_silence_seconds)"},
            bad_from=180,
        ),
        Panel(
            title="Version and leader",
            about="One version is good; two only during an upgrade. The leader is the one that acts.",
            unit="short",
            queries={
                "version {{version}}": "max by (namespace, version) (headrace_build_info)",
                "leader in {{namespace}}": "max by (namespace) (headrace_operator_leader) == 1",
            },
            shape="states",
        ),
    )


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    rows = (_well(), *consumers.rows(), *source.rows(), *outboxes.rows(), _operator())
    return {
        "uid": UID,
        "title": "Headrace / Overview",
        "description": "From the row to the effect: is it well, does work wait, why so many replicas, what comes in.",
        "tags": ["headrace"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [
            {"title": "Headrace", "type": "dashboards", "tags": ["headrace"], "includeVars": True, "keepTime": True},
            {"title": "Alert rules", "type": "link", "url": "/alerting/list?search=Headrace"},
        ],
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("namespace", "label_values(headrace_resource_condition, resource_namespace)"),
                _variable("pipeline", f"label_values(headrace_resource_condition{{{ONLY}}}, pipeline)"),
            ]
        },
        "annotations": {"list": [_mark("Alerts", "red", ALERTS, "{{alertname}}"), _mark("Scaling", "blue", RESCALED)]},
        "panels": laid_out(rows),
    }


def _mark(name: str, color: str, expr: str, title: str = "") -> dict[str, Any]:
    """Return what draws a line through every panel where `expr` has a value."""
    return {
        "name": name,
        "iconColor": color,
        "enable": True,
        "datasource": DATASOURCE,
        "expr": expr,
        "step": "1m",
        "titleFormat": title or f"{name}: {{{{resource_namespace}}}}/{{{{consumer}}}}",
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
