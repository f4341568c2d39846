"""Every alert fires when it should, stays quiet when it should, and says what to do: judged by promtool."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from dashboards.src.alert import NAMESPACE, RUNBOOKS
from tests.dashboards import alerting, promtool
from tests.dashboards.alerting import (
    ALERTS,
    BILLING,
    BUILD,
    CONSUMER,
    EARLIER,
    FILE,
    ORDERS,
    ORDERS_DB,
    PARCELS,
    RELAY,
    THERE,
    Series,
)

ROOT = Path(__file__).parents[2]
PARTITION = f'{BILLING}, topic="t", partition="0"'
OLD, NEW = 'pod="old", ', 'pod="new", '
LETTERS = f"headrace_consumer_dead_letter_failures_total{{{BILLING}}}"
HELD = "headrace_dlq_messages"


@dataclass(frozen=True, kw_only=True)
class Fired:
    """An alert as Prometheus would send it."""

    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """With `series`, the alert must be among those that fire, or must not."""

    why: str
    alert: str
    fires: bool
    series: Series

    @property
    def minute(self) -> int:
        """When one looks."""
        return 80 if self.alert == "HeadraceDeadLettersOutstanding" else 40


def _lag(seconds: str, target: int = 60) -> Series:
    return {
        f"headrace_consumer_lag_seconds{{{PARTITION}}}": seconds,
        f"headrace_consumer_slo_lag_seconds{{{BILLING}}}": f"{target}x90",
    }


def _offsets(committed: str, lag: str = "5x90", pod: str = "") -> Series:
    return {
        f"headrace_consumer_lag_messages{{{pod}{PARTITION}}}": lag,
        f"headrace_consumer_committed_offset{{{pod}{PARTITION}}}": committed,
    }


def _attempts(ok: str, retry: str) -> Series:
    attempts = f"headrace_consumer_attempts_total{{{BILLING}"
    return {f'{attempts}, outcome="ok"}}': ok, f'{attempts}, outcome="retry"}}': retry}


def _held(values: str, pod: str = "") -> Series:
    return {f"{HELD}{{{pod}{BILLING}}}": values}


def _outstanding(values: str, pod: str = "") -> Series:
    return {f"headrace_dlq_outstanding_messages{{{pod}{BILLING}}}": values}


def _ready(kind: str, name: str, status: str, values: str = "1x90") -> Series:
    labels = f'{ORDERS}, kind="{kind}", name="{name}", condition="Ready", status="{status}"'
    return {f"headrace_resource_condition{{{labels}}}": values}


def _paused(values: str, name: str = "billing") -> Series:
    labels = f'{ORDERS}, kind="Consumer", name="{name}", condition="Paused", status="True"'
    return {f"headrace_resource_condition{{{labels}}}": values}


def _of_source(condition: str, status: str, values: str = "1x90") -> Series:
    labels = f'{ORDERS}, kind="Connector", name="orders-db", condition="{condition}", status="{status}"'
    return {f"headrace_resource_condition{{{labels}}}": values}


def _state(values: str, state: str = "FAILED") -> Series:
    return {f'headrace_connector_state{{{ORDERS_DB}, state="{state}"}}': values}


def _tasks(values: str) -> Series:
    return {f'headrace_connector_tasks{{{ORDERS_DB}, state="FAILED"}}': values}


def _operator(ok: str, depth: str, failed: str = "0x90") -> Series:
    passes = 'headrace_operator_reconciliations_total{namespace="headrace-system", kind="Consumer"'
    return {
        f'{passes}, outcome="ok"}}': ok,
        f'{passes}, outcome="failed"}}': failed,
        'headrace_operator_queue_depth{namespace="headrace-system"}': depth,
    }


def _away(last: int) -> Series:
    """An operator that was scraped last in that minute."""
    return dict.fromkeys(THERE, f"1x{last} stale _x9")


def _circuit(values: str, pod: str = "") -> Series:
    return {f"headrace_consumer_circuit_open{{{pod}{BILLING}}}": values}


def _store(values: str, pod: str = "") -> Series:
    return {f"headrace_consumer_store_away{{{pod}{BILLING}}}": values}


def _outbox(backlog: str, published: str, pod: str = "") -> Series:
    return {
        f"headrace_relay_backlog{{{pod}{PARCELS}}}": backlog,
        f"headrace_relay_published_total{{{pod}{PARCELS}}}": published,
    }


def _pending(oldest: str, pod: str = "") -> Series:
    return {f"headrace_relay_oldest_pending_seconds{{{pod}{PARCELS}}}": oldest}


def _phase(values: str, phase: str = "Failed") -> Series:
    return {f'headrace_snapshot_phase{{{EARLIER}, phase="{phase}"}}': values}


def _heard(values: str, pod: str = "", state: str = "RUNNING") -> Series:
    return {f"headrace_snapshot_told_timestamp_seconds{{{pod}{EARLIER}}}": values} | _state("1x90", state)


def _given_up(count: str) -> Series:
    return {f"headrace_relay_failed_rows{{{PARCELS}}}": count}


def _cases(alert: str, *made: tuple[bool, str, Series]) -> tuple[Case, ...]:
    return tuple(Case(alert=alert, fires=fires, why=why, series=series) for fires, why, series in made)


CASES = (
    *_cases(
        "HeadraceConsumerStandsStill",
        (True, "since 20 minutes", _offsets("0+1x20 20x60")),
        (True, "records wait since 20 minutes", _offsets("7x90", lag="0x19 5x70")),
        (False, "since 13 minutes", _offsets("0+1x27 27x60")),
        (True, "nothing is committed", _offsets("7x90")),
        (True, "nothing was ever committed", _offsets("_x90")),
        (True, "one record is left for good", _offsets("7x90", lag="1x90")),
        (True, "the operator was restarted", _offsets("7x30", "5x30") | _offsets("_x32 7x60", "_x32 5x60", NEW)),
        (True, "the operator has just been away", _offsets("7x38 stale _x9", "5x38 stale _x9") | _away(38)),
        (False, "commits move on, slowly", _offsets("7x9 8x9 9x9 10x9 11x9")),
        (False, "commits moved while the operator restarted",
         _offsets("0+1x28 28x7", "5x36", OLD) | _offsets("_x37 29x60", "_x37 5x60", NEW)),
        (False, "no record waits", _offsets("7x90", lag="0x90")),
        (False, "what waited was handled meanwhile", _offsets("7x90", lag="5x5 0 5x8 0 5x8 0 5x8 0 5x8")),
        (False, "the new operator sees that all is handled",
         _offsets("0+1x36", "5x36", OLD) | _offsets("_x37 36x60", "_x37 0x60", NEW)),
        (False, "dead letters that cannot be written are the cause", _offsets("7x90") | {LETTERS: "0+2x90"}),
        (False, "the target is the cause", _offsets("7x90") | _circuit("1x90")),
        (False, "the store is the cause", _offsets("7x90") | _store("1x90")),
        (False, "Kafka is the cause", _offsets("7x90") | _ready("KafkaConnection", "kafka", "False")),
        (False, "it is paused on purpose", _offsets("7x90") | _paused("1x90")),
        (False, "it is paused, and the operator has just been away",
         _offsets("7x90") | _paused("1x38 stale _x9") | _away(38)),
        (True, "it was paused long ago", _offsets("7x90") | _paused("1x15 stale _x90")),
        (True, "another one is paused", _offsets("7x90") | _paused("1x90", name="another")),
    ),
    *_cases(
        "HeadraceTargetAway",
        (True, "since 10 minutes", _circuit("0x30 1x60")),
        (True, "in pods that are replaced", _circuit("1x36 stale _x60", OLD) | _circuit("_x36 1x60", NEW)),
        (False, "for a moment", _circuit("0x37 1x1 0x60")),
        (False, "it answers", _circuit("0x90")),
        (False, "the Consumer is gone", _circuit("1x30 stale _x60") | {CONSUMER: "1x30 stale _x60"}),
    ),
    *_cases(
        "HeadraceStoreAway",
        (True, "since 10 minutes", _store("0x30 1x60")),
        (True, "one pod of two misses it", _store("0x90", OLD) | _store("1x90", NEW)),
        (False, "for a moment", _store("0x37 1x1 0x60")),
        (False, "it answers", _store("0x90")),
        (False, "the Consumer is gone", _store("1x30 stale _x60") | {CONSUMER: "1x30 stale _x60"}),
    ),
    *_cases(
        "HeadraceLagAboveTarget",
        (True, "since 10 minutes", _lag("0x30 90x60")),
        (True, "above", _lag("61x90")),
        (True, "the operator has just been away", _lag("61x37 stale _x9") | _away(37)),
        (False, "at the target", _lag("60x90")),
        (False, "it is paused on purpose", _lag("61x90") | _paused("1x90")),
        (True, "it was paused long ago", _lag("61x90") | _paused("1x25 stale _x90")),
        (False, "above for less than 5 minutes", _lag("0x36 90x60")),
        (False, "the target is not known", {f"headrace_consumer_lag_seconds{{{PARTITION}}}": "61x90"}),
        (False, "the Consumer is gone", _lag("61x37 stale _x60") | {CONSUMER: "1x37 stale _x60"}),
    ),
    *_cases(
        "HeadraceRetriesHigh",
        (True, "since 15 minutes", _attempts("0+90x90", "0x25 0+90x60")),
        (True, "a few, and nothing else", _attempts("0x90", "0+1.5x90")),
        (False, "since 3 minutes", _attempts("0+90x90", "0x37 90 180 270 360")),
        (True, "over a tenth", _attempts("0+90x90", "0+11x90")),
        (True, "all, while pods restart", _attempts("0x90", "0+5x36 0+5x60")),
        (False, "a tenth", _attempts("0+90x90", "0+10x90")),
        (False, "one record alone is tried again", _attempts("0x90", "0x30 1 2 3 4 5 6 7 7x60")),
        (False, "nothing is handled", _attempts("8x90", "8x90")),
    ),
    *_cases(
        "HeadraceDeadLetterNotWritten",
        (True, "since 12 minutes", {LETTERS: "0x28 0+2x60"}),
        (True, "again and again", {LETTERS: "0+2x90"}),
        (True, "again and again, in pods that restart", {LETTERS: "0+2x36 0+2x60"}),
        (False, "once", {LETTERS: "0x38 1x60"}),
        (False, "Kafka is the cause", {LETTERS: "0+2x90"} | _ready("KafkaConnection", "kafka", "False")),
        (False, "until 9 minutes ago", {LETTERS: "0+2x31 62x60"}),
    ),
    *_cases(
        "HeadraceDeadLetterArrived",
        (True, "one more", _held("3x38 4x60")),
        (True, "the first of a new Consumer", _held("_x38 0 1x60")),
        (True, "while the operator restarted", _held("3x33", OLD) | _held("_x38 4x60", NEW)),
        (False, "none for 10 minutes", _held("3x20 4x70")),
        (False, "the operator restarted", _held("3x33", OLD) | _held("_x38 3x60", NEW)),
        (False, "retention removed some", _held("9x38 2x60")),
    ),
    *_cases(
        "HeadraceDeadLettersOutstanding",
        (True, "since 70 minutes", _outstanding("0x10 5x80")),
        (False, "since an hour and a moment", _outstanding("0x18 5x70")),
        (True, "for over an hour", _outstanding("5x90")),
        (True, "also while the operator restarts", _outstanding("5x50", OLD) | _outstanding("_x53 5x40", NEW)),
        (False, "some are redriven, the last one just now", _outstanding("5x70 0x20")),
        (False, "for half an hour", _outstanding("0x50 5x40")),
    ),
    *_cases(
        "HeadraceKafkaNotReady",
        (True, "since 10 minutes", _ready("KafkaConnection", "kafka", "False", "_x30 1x60")),
        (True, "the operator has just been away",
         _ready("KafkaConnection", "kafka", "False", "1x37 stale _x9") | _away(37)),
        (True, "refuses the login", _ready("KafkaConnection", "kafka", "False")),
        (False, "ready", _ready("KafkaConnection", "kafka", "True")),
        (False, "not ready for a moment", _ready("KafkaConnection", "kafka", "False", "_x36 1x2 stale _x60")),
    ),
    *_cases(
        "HeadraceConnectNotReady",
        (True, "since 10 minutes", _ready("ConnectCluster", "main", "False", "_x30 1x60")),
        (True, "the operator has just been away",
         _ready("ConnectCluster", "main", "False", "1x37 stale _x9") | _away(37)),
        (False, "since 3 minutes", _ready("ConnectCluster", "main", "False", "_x37 1x60")),
        (True, "no worker", _ready("ConnectCluster", "main", "False")),
        (False, "ready", _ready("ConnectCluster", "main", "True")),
        (False, "Kafka is the cause",
         _ready("ConnectCluster", "main", "False") | _ready("KafkaConnection", "kafka", "False")),
    ),
    *_cases(
        "HeadraceConnectorFailed",
        (True, "the operator has just been away", _state("1x36 stale _x9") | _away(36)),
        (False, "Kafka is the cause", _state("1x90") | _ready("KafkaConnection", "kafka", "False")),
        (True, "failed", _state("1x90")),
        (True, "failing, restarted, failing", _state("_x20 1 _ 1 1 _ 1 1 1 _ 1 _ 1 1 _ 1 1 _ 1 1 1 1")),
        (False, "failed for a moment", _state("0x36 1 0x60")),
        (False, "not read", _state("_x90")),
    ),
    *_cases(
        "HeadraceTaskFailed",
        (True, "the operator has just been away", _tasks("1x36 stale _x9") | _away(36)),
        (False, "failed for a moment, 7 minutes ago", _tasks("0x32 1 0x60")),
        (True, "failed", _tasks("1x90")),
        (True, "failing, restarted, failing", _tasks("0x20 1 0 1 1 0 1 1 1 0 1 0 1 1 0 1 1 0 1 1 1 1")),
        (False, "failed for a moment", _tasks("0x37 1 0x60")),
        (False, "the connector failed as a whole", _tasks("1x90") | _state("1x90")),
        (False, "Kafka is the cause", _tasks("1x90") | _ready("KafkaConnection", "kafka", "False")),
    ),
    *_cases(
        "HeadraceConnectorStandsStill",
        (True, "it runs and commits nothing", _of_source("Streaming", "False") | _state("1x90", "RUNNING")),
        (False, "it follows", _of_source("Streaming", "True") | _state("1x90", "RUNNING")),
        (False, "nobody knows", _of_source("Streaming", "Unknown") | _state("1x90", "RUNNING")),
        (False, "it is stopped", _of_source("Streaming", "False") | _state("1x90", "STOPPED")),
        (False, "it is not Ready",
         _of_source("Streaming", "False") | _state("1x90", "RUNNING") | _ready("Connector", "orders-db", "False")),
        (False, "it stood for a moment",
         _of_source("Streaming", "False", "_x36 1x2 stale _x60") | _state("1x90", "RUNNING")),
    ),
    *_cases(
        "HeadraceSlotAtRisk",
        (True, "nobody reads it", _of_source("SlotHealthy", "False")),
        (True, "of a stopped connector", _of_source("SlotHealthy", "False") | _state("1x90", "STOPPED")),
        (False, "it is well", _of_source("SlotHealthy", "True")),
        (False, "nobody knows", _of_source("SlotHealthy", "Unknown")),
        (False, "it is lost, and the Connector not Ready",
         _of_source("SlotHealthy", "False") | _ready("Connector", "orders-db", "False")),
    ),
    *_cases(
        "HeadraceResourceNotReady",
        (True, "since 11 minutes", _ready("Consumer", "billing", "False", "_x28 1x60")),
        (True, "the operator has just been away", _ready("Consumer", "billing", "False", "1x37 stale _x9") | _away(37)),
        (True, "a Consumer", _ready("Consumer", "billing", "False")),
        (True, "an OutboxRelay", _ready("OutboxRelay", "parcels", "False")),
        (True, "a Connector without a failed task", _ready("Connector", "orders-db", "False") | _tasks("0x90")),
        (True, "a Consumer called as a failed Connector",
         _ready("Consumer", "orders-db", "False") | _tasks("1x90")),
        (False, "ready", _ready("Consumer", "billing", "True")),
        (False, "starting", _ready("Consumer", "billing", "False", "_x32 1x60")),
        (False, "a task failed", _ready("Connector", "orders-db", "False") | _tasks("1x90")),
        (False, "the connector failed", _ready("Connector", "orders-db", "False") | _state("1x90")),
        (False, "Connect is the cause",
         _ready("Connector", "orders-db", "False") | _ready("ConnectCluster", "main", "False")),
    ),
    *_cases(
        "HeadraceSnapshotFailed",
        (True, "it failed", _phase("1x90")),
        (True, "the operator has just been away", _phase("1x37 stale _x9") | _away(37)),
        (True, "its Connector is not Ready, too", _phase("1x90") | _ready("Connector", "orders-db", "False")),
        (False, "it is completed", _phase("1x90", "Completed")),
        (False, "just now", _phase("_x37 1x60")),
        (False, "it was deleted", _phase("1x30 stale _x60")),
    ),
    *_cases(
        "HeadraceSnapshotStandsStill",
        (True, "nothing was told for long", _heard("7x90")),
        (True, "since 20 minutes", _heard("0+60x20 1200x70")),
        (True, "the operator has just been away",
         _heard("7x37 stale _x9") | _state("1x37 stale _x9", "RUNNING") | _away(37)),
        (False, "since 13 minutes", _heard("0+60x27 1620x60")),
        (False, "each three minutes a piece", _heard(" ".join(f"{180 * count}x2" for count in range(20)))),
        (False, "it rests", _phase("1x90", "Paused") | _state("1x90", "RUNNING")),
        (False, "it rests since 10 minutes", _heard("7x29 stale _x60")),
        (False, "it goes on since 10 minutes", _heard("_x29 1740x60")),
        (False, "its Connector stands", _heard("7x90", state="PAUSED")),
        (False, "its Connector fails",
         _heard("7x90") | _tasks("1x90") | _ready("Connector", "orders-db", "False")),
    ),
    *_cases(
        "HeadraceOutboxStandsStill",
        (True, "nothing is published", _outbox("5x90", "7x90")),
        (True, "since 20 minutes", _outbox("5x90", "0+1x20 20x60")),
        (False, "since 13 minutes", _outbox("5x90", "0+1x27 27x60")),
        (False, "another pod publishes", _outbox("5x90", "7x90", OLD) | _outbox("5x90", "0+3x90", NEW)),
        (False, "no row waits", _outbox("0x90", "7x90")),
        (False, "Kafka is the cause", _outbox("5x90", "7x90") | _ready("KafkaConnection", "kafka", "False")),
        (False, "the OutboxRelay is gone", _outbox("5x30 stale _x60", "7x30 stale _x60") | {RELAY: "1x30 stale _x60"}),
    ),
    *_cases(
        "HeadraceOutboxBacklogOld",
        (True, "one pod tells it", _pending("0x90", OLD) | _pending("301x90", NEW)),
        (True, "since 15 minutes", _pending("0x25 900x60")),
        (False, "since 8 minutes", _pending("0x32 900x60")),
        (False, "five minutes are allowed", _pending("300x90")),
        (False, "the OutboxRelay is gone", _pending("900x30 stale _x60") | {RELAY: "1x30 stale _x60"}),
    ),
    *_cases(
        "HeadraceOutboxRowsFailed",
        (True, "one", _given_up("1x90")),
        (True, "the operator has just been away", _given_up("1x90") | _away(37)),
        (False, "they were put back", _given_up("3x30 0x60")),
        (False, "none", _given_up("0x90")),
        (False, "the OutboxRelay is gone", _given_up("1x30 stale _x60") | {RELAY: "1x30 stale _x60"}),
    ),
    *_cases(
        "HeadraceOperatorDown",
        (False, "gone for a moment", {BUILD: "1x37 stale _x60"}),
        (True, "gone", {BUILD: "1x20 stale _x60"}),
        (True, "never seen", dict.fromkeys(THERE, "_x90")),
        (False, "there", {BUILD: "1x90"}),
        (False, "replaced", {BUILD: "1x34 stale _x2 1x60"}),
    ),
    *_cases(
        "HeadraceOperatorNotReconciling",
        (True, "since 20 minutes", _operator(ok="0+6x20 120x60", depth="4x90")),
        (False, "since 12 minutes", _operator(ok="0+6x28 168x60", depth="4x90")),
        (False, "there is nothing to do any more", _operator(ok="9x90", depth="4x20 0x60")),
        (True, "keys wait", _operator(ok="9x90", depth="4x90")),
        (True, "every pass fails", _operator(ok="9x90", depth="4x90", failed="0+5x90")),
        (True, "since it started, 11 minutes ago", _operator(ok="_x29 0x60", depth="_x29 4x60")),
        (False, "since it started, 6 minutes ago", _operator(ok="_x34 0x60", depth="_x34 4x60")),
        (False, "passes succeed", _operator(ok="0+6x90", depth="4x90")),
        (False, "there is nothing to do", _operator(ok="9x90", depth="0x90")),
        (False, "it was restarted and goes on", _operator(ok="0+6x36 0+6x60", depth="4x90")),
    ),
    *_cases(
        "HeadraceReconcileFailing",
        (True, "since 24 minutes", _operator(ok="0+60x90", depth="4x90", failed="0x15 0+1x60")),
        (False, "since 5 minutes", _operator(ok="0+60x90", depth="4x90", failed="0x35 5 10 15 20 25 30")),
        (True, "the only resource, none waits", _operator(ok="9x90", depth="0x90", failed="0+1x90")),
        (True, "one resource of many", _operator(ok="0+60x90", depth="4x90", failed="0+1x90")),
        (False, "now and then", _operator(ok="0+60x90", depth="4x90", failed="0x4 1x4 2x4 3x4 4x4 5x4 6x4 7x4 8x4")),
        (False, "all: another alert tells", _operator(ok="9x90", depth="4x90", failed="0+5x90")),
    ),
)  # fmt: skip


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case.alert}: {case.why}")
def case(request: pytest.FixtureRequest) -> Case:
    """Give a case to each test that judges it, one after the other: promtool evaluates it once."""
    found: Case = request.param
    return found


@cache
def fired(case: Case) -> list[Fired]:
    """Return what fires in a case: promtool is told to expect silence, and says what it got."""
    text = alerting.told(alerting.document(case.series, [case.minute]))
    found = re.findall(r"Labels:\{(.*)\}\s*Annotations:\{(.*)\}", text)
    assert found or "SUCCESS" in text, text
    return [Fired(labels=_pairs(labels), annotations=_pairs(texts)) for labels, texts in found]


def _pairs(text: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text))


@pytest.mark.slow
def test_alert_fires_and_stays_quiet(case: Case) -> None:
    """The alert fires in the one world, and not in the other."""
    assert (case.alert in [one.labels["alertname"] for one in fired(case)]) == case.fires


@pytest.mark.slow
def test_one_cause_wakes_people_once(case: Case) -> None:
    """At most one alert is critical."""
    critical = {one.labels["alertname"] for one in fired(case) if one.labels["severity"] == "critical"}

    assert len(critical) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ALERTS)
def test_alert_says_whom_it_concerns_and_what_to_type(name: str) -> None:
    """Labels to route by, whole sentences without gaps, a command, and a page."""
    case = next(case for case in CASES if case.alert == name and case.fires)
    (one,) = [one for one in fired(case) if one.labels["alertname"] == name]

    if ALERTS[name].namespace == NAMESPACE:
        assert one.labels["namespace"] == one.labels["resource_namespace"] == "shop"
        assert one.labels["pipeline"] == "orders"
    assert one.labels["severity"] in ("critical", "warning")
    description = one.annotations["description"]
    assert not re.search(r"no value|error|\{\{|%!|  | ,| /|/ |-n `| -n -", description)
    assert re.search(r"Next: `(kubectl|headrace) [^`]+`$", description)
    assert one.annotations["summary"].endswith(".")
    assert (ROOT / one.annotations["runbook_url"]).is_file()


@pytest.mark.slow
def test_rules_are_valid() -> None:
    """Prometheus reads the rule file."""
    done = promtool.run("check", "rules", "--lint=all", "--lint-fatal", str(FILE))

    assert done.returncode == 0, done.stdout


def test_every_alert_is_tested_and_has_its_page() -> None:
    """No alert without a world where it fires and one where it does not, no page without an alert, nor the reverse."""
    pages = {path.stem: path.read_text() for path in (ROOT / RUNBOOKS).glob("*.md")}
    tested = {wanted: {case.alert for case in CASES if case.fires == wanted} for wanted in (True, False)}

    assert set(ALERTS) == tested[True] == tested[False] == set(pages)
    assert not [
        name
        for name, text in pages.items()
        for part in ("What it means", "Look at", "Do")
        if f"## {part}\n" not in text
    ]
