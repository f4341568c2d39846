"""Alerts are about what exists, and wait for as long as they say: nobody is woken for what is gone, new or not seen."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from headrace_operator.metrics import Fleet
from tests.dashboards import alerting
from tests.dashboards.alerting import (
    ALERTS,
    BILLING,
    BUILD,
    CONNECTOR,
    CONSUMER,
    EARLIER,
    ORDERS,
    ORDERS_DB,
    PARCELS,
    RELAY,
    STARTED,
    Series,
)

pytestmark = [pytest.mark.slow, pytest.mark.case("seeing-1")]

ENDS = 90
PARTITION = f'{BILLING}, topic="t", partition="0"'
ATTEMPTS = f"headrace_consumer_attempts_total{{{BILLING}"
PASSES = "headrace_operator_reconciliations_total{"


def _ready(kind: str, name: str) -> Series:
    return {
        f'headrace_resource_condition{{{ORDERS}, kind="{kind}", name="{name}", condition="Ready", status="False"}}': (
            "1x90"
        )
    }


def _false(condition: str) -> Series:
    of = f'{ORDERS}, kind="Connector", name="orders-db"'
    return {f'headrace_resource_condition{{{of}, condition="{condition}", status="False"}}': "1x90"}


BAD: dict[str, Series] = {
    "HeadraceConsumerStandsStill": {
        f"headrace_consumer_lag_messages{{{PARTITION}}}": "5x90",
        f"headrace_consumer_committed_offset{{{PARTITION}}}": "7x90",
    },
    "HeadraceTargetAway": {f"headrace_consumer_circuit_open{{{BILLING}}}": "1x90"},
    "HeadraceStoreAway": {f"headrace_consumer_store_away{{{BILLING}}}": "1x90"},
    "HeadraceLagAboveTarget": {
        f"headrace_consumer_lag_seconds{{{PARTITION}}}": "61x90",
        f"headrace_consumer_slo_lag_seconds{{{BILLING}}}": "60x90",
    },
    "HeadraceRetriesHigh": {f'{ATTEMPTS}, outcome="ok"}}': "0x90", f'{ATTEMPTS}, outcome="retry"}}': "0+90x90"},
    "HeadraceDeadLetterNotWritten": {f"headrace_consumer_dead_letter_failures_total{{{BILLING}}}": "0+30x90"},
    "HeadraceDeadLetterArrived": {f"headrace_dlq_messages{{{BILLING}}}": "0+1x90"},
    "HeadraceDeadLettersOutstanding": {f"headrace_dlq_outstanding_messages{{{BILLING}}}": "1x90"},
    "HeadraceKafkaNotReady": _ready("KafkaConnection", "kafka"),
    "HeadraceConnectNotReady": _ready("ConnectCluster", "main"),
    "HeadraceConnectorFailed": {f'headrace_connector_state{{{ORDERS_DB}, state="FAILED"}}': "1x90"},
    "HeadraceTaskFailed": {f'headrace_connector_tasks{{{ORDERS_DB}, state="FAILED"}}': "1x90"},
    "HeadraceConnectorStandsStill": {
        **_false("Streaming"),
        f'headrace_connector_state{{{ORDERS_DB}, state="RUNNING"}}': "1x90",
    },
    "HeadraceSlotAtRisk": _false("SlotHealthy"),
    "HeadraceResourceNotReady": _ready("Consumer", "billing"),
    "HeadraceSnapshotFailed": {f'headrace_snapshot_phase{{{EARLIER}, phase="Failed"}}': "1x90"},
    "HeadraceSnapshotStandsStill": {
        f"headrace_snapshot_told_timestamp_seconds{{{EARLIER}}}": "7x90",
        f'headrace_connector_state{{{ORDERS_DB}, state="RUNNING"}}': "1x90",
    },
    "HeadraceOutboxStandsStill": {
        f"headrace_relay_backlog{{{PARCELS}}}": "5x90",
        f"headrace_relay_published_total{{{PARCELS}}}": "7x90",
    },
    "HeadraceOutboxBacklogOld": {f"headrace_relay_oldest_pending_seconds{{{PARCELS}}}": "301x90"},
    "HeadraceOutboxRowsFailed": {f"headrace_relay_failed_rows{{{PARCELS}}}": "1x90"},
    "HeadraceOperatorNotReconciling": {f'{PASSES}outcome="ok"}}': "9x90", "headrace_operator_queue_depth": "4x90"},
    "HeadraceReconcileFailing": {f'{PASSES}kind="Consumer", outcome="failed"}}': "0+6x90"},
}
"""A world in which each alert but the one about an absent operator has a cause, from the first minute on."""

WAITS = {
    "HeadraceConsumerStandsStill": 15,
    "HeadraceTargetAway": 5,
    "HeadraceStoreAway": 5,
    "HeadraceLagAboveTarget": 5,
    "HeadraceRetriesHigh": 5,
    "HeadraceDeadLetterNotWritten": 5,
    "HeadraceDeadLetterArrived": 0,
    "HeadraceDeadLettersOutstanding": 60,
    "HeadraceKafkaNotReady": 5,
    "HeadraceConnectNotReady": 5,
    "HeadraceConnectorFailed": 5,
    "HeadraceTaskFailed": 5,
    "HeadraceConnectorStandsStill": 5,
    "HeadraceSlotAtRisk": 10,
    "HeadraceResourceNotReady": 10,
    "HeadraceSnapshotFailed": 5,
    "HeadraceSnapshotStandsStill": 15,
    "HeadraceOutboxStandsStill": 15,
    "HeadraceOutboxBacklogOld": 10,
    "HeadraceOutboxRowsFailed": 10,
    "HeadraceOperatorNotReconciling": 10,
    "HeadraceReconcileFailing": 15,
}
"""Minutes that something has lasted at the least, by what description and runbook say."""

OPERATORS = {"HeadraceOperatorNotReconciling", "HeadraceReconcileFailing"}
"""Whether an operator is gone or a scrape failed cannot be told apart for as long as two scrapes take."""

BORN = 20


def _only(series: Series, kept: Iterable[range]) -> Series:
    """Return what was scraped in the minutes `kept`; a series ends as Prometheus ends it, by a stale marker."""
    return {name: " ".join(_cut(alerting.values(told), list(kept))) for name, told in series.items()}


def _cut(told: list[str], kept: list[range]) -> list[str]:
    seen = [value if any(minute in one for one in kept) else "_" for minute, value in enumerate(told)]
    return [
        seen[0],
        *("stale" if now == "_" and before != "_" else now for before, now in pairwise(seen)),
    ]


def _thing(alert: str) -> Series:
    """Return the series of what the alert is about: they come and go with it."""
    there = (
        {BUILD: "1x90", STARTED: "0x90"} if alert in OPERATORS else {CONSUMER: "1x90", CONNECTOR: "0x90", RELAY: "1x90"}
    )
    return BAD[alert] | there


def _less(alert: str) -> int:
    return max(2, WAITS[alert] - (4 if alert in OPERATORS else 0))


WORLDS: dict[str, Callable[[str], Series]] = {
    "always": _thing,
    "born": lambda alert: _only(_thing(alert), [range(BORN, ENDS)]),
    "lived for 90 s": lambda alert: _only(_thing(alert), [range(BORN, BORN + 2)]),
    "lived for a moment less than it takes": lambda alert: _only(_thing(alert), [range(BORN, BORN + _less(alert))]),
    "gone": lambda alert: _only(_thing(alert), [range(75)]),
    **{
        f"not scraped in {at} and {at + 1}": lambda alert, at=at: _only(  # type: ignore[misc]
            alerting.THERE | BAD[alert], [range(at), range(at + 2, ENDS)]
        )
        for at in (3, 13, 62)
    },
}


@cache
def fires(alert: str, world: str) -> set[int]:
    """Return in which minutes an alert fires in a world."""
    with tempfile.TemporaryDirectory(prefix="headrace-rules-") as folder:
        alone = alerting.alone(Path(folder), alert)
        return alerting.minutes(alerting.told(alerting.document(WORLDS[world](alert), range(ENDS), [alert], alone)))


def test_every_alert_is_judged() -> None:
    """But the one that is about what is absent."""
    assert {"HeadraceOperatorDown"} == set(ALERTS) - set(BAD)
    assert set(WAITS) == set(BAD)


@pytest.mark.parametrize("alert", BAD)
def test_it_fires_while_its_cause_lasts(alert: str) -> None:
    """Within five minutes of the time that it speaks of, and then all the time: so that the others mean something."""
    told = fires(alert, "always")

    assert min(told) <= WAITS[alert] + 6
    assert told == set(range(min(told), ENDS))


@pytest.mark.parametrize("alert", BAD)
def test_what_is_new_is_given_the_time_that_the_alert_speaks_of(alert: str) -> None:
    """A Consumer that is made over a backlog, a Connector that starts with a failure."""
    told = fires(alert, "born")

    assert min(told) >= BORN + WAITS[alert]
    assert min(told) <= BORN + WAITS[alert] + 6


@pytest.mark.parametrize("alert", BAD)
@pytest.mark.parametrize("world", ["lived for 90 s", "lived for a moment less than it takes"])
def test_what_is_gone_before_its_time_wakes_nobody(alert: str, world: str) -> None:
    """Neither while it is there nor afterwards; a dead letter that arrives is told at once, and no longer."""
    lived = range(BORN, BORN + 3) if alert == "HeadraceDeadLetterArrived" else ()

    assert fires(alert, world) <= set(lived)


@pytest.mark.parametrize("alert", BAD)
def test_what_is_gone_is_told_of_no_more(alert: str) -> None:
    """From the next evaluation on, or the one after: groups of rules wait for no other."""
    over = 76 + (4 if alert in OPERATORS else 0)

    assert max(fires(alert, "gone")) <= over
    assert 74 in fires(alert, "gone")


@pytest.mark.parametrize("alert", BAD)
@pytest.mark.parametrize(
    "world",
    [
        pytest.param("not scraped in 3 and 4", marks=pytest.mark.sweep),
        "not scraped in 13 and 14",
        pytest.param("not scraped in 62 and 63", marks=pytest.mark.sweep),
    ],
)
def test_two_scrapes_that_fail_change_nothing(alert: str, world: str) -> None:
    """Neither operator nor pods are seen for three minutes: what fires goes on, and what waits does not begin anew."""
    told, undisturbed = fires(alert, world), fires(alert, "always")

    assert told == set(range(min(told), ENDS))
    assert abs(min(told) - min(undisturbed)) <= 1


@pytest.mark.parametrize("scrape", [5, 15, 30])
def test_attempts_further_apart_than_scrapes_are_one_cause(tmp_path: Path, scrape: int) -> None:
    """A dead letter that Kafka refuses is tried again every 10 s: the alert does not begin anew in between."""
    alert = "HeadraceDeadLetterNotWritten"
    (name,) = BAD[alert]
    times = range(0, 1800, scrape)
    failures = " ".join(str(min(at, 1200) // 10) for at in times)
    series = dict.fromkeys(alerting.THERE, f"1x{len(times)}") | {name: failures}
    made = alerting.document(series, range(30), [alert], alerting.alone(tmp_path, alert), scrape=f"{scrape}s")
    told = alerting.minutes(alerting.told(made))

    assert told == set(range(min(told), max(told) + 1))
    assert WAITS[alert] <= min(told) <= 8
    assert 20 <= max(told) <= 22


def test_the_operator_tells_when_it_started() -> None:
    """By that the alerts know when it has had time to look at everything."""
    assert STARTED in generate_latest(Fleet().registry).decode()
