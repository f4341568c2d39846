"""What a trace is a case of: traces as a real Debezium wrote them, each of a failure that was made on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.plan import causes, restarts

TRACES = Path(__file__).parent / "traces"

KINDS = {
    "connection": "Connection",
    "ended": "Connection",
    "slot_active": "Connection",
    "credentials": "Credentials",
    "slot_lost": "SlotLost",
    "publication_dropped": "Publication",
    "publication_absent": "Publication",
    "rights": "Rights",
    "no_table": "Tables",
    "size": "Size",
    "topic_config": "Route",
    "converter": "Converter",
    "transform": "Transform",
    "row": "Row",
    "table_row": "Size",
}


def failure(trace: str) -> str:
    """Return what is told of a connector that failed with this trace."""
    found = restarts.failure(ConnectorSeen(name="c", config={}, state="FAILED", trace=trace, tasks=()))
    assert found is not None
    return found.told


@pytest.mark.parametrize(("name", "cause"), KINDS.items())
def test_a_trace_is_known_by_its_words(name: str, cause: str) -> None:
    trace = (TRACES / f"{name}.txt").read_text()

    assert causes.of(trace).name == cause
    assert causes.said(trace, causes.of(trace))


@pytest.mark.case("databases-11")
def test_a_record_too_large_for_its_topic_is_tried_again_as_the_topic_may_be_raised() -> None:
    """Unlike one that is too large to be sent at all, which nothing but an edit mends."""
    words = "The request included a message larger than the max message size the server will accept."
    trace = f"ConnectException: failed\nCaused by: org.apache.kafka.common.errors.RecordTooLargeException: {words}\n"

    assert (causes.of(trace).name, causes.of(trace).answer) == ("TopicSize", "Soon")


def test_each_trace_is_judged() -> None:
    assert {path.stem for path in TRACES.glob("*.txt")} == set(KINDS)


def test_what_is_suppressed_is_told_in_the_databases_words() -> None:
    trace = (TRACES / "credentials.txt").read_text()

    assert 'FATAL: password authentication failed for user "…"' in (causes.said(trace, causes.of(trace)) or "")


def test_the_root_of_a_known_cause_is_told_beside_it() -> None:
    unable = f"ConnectException: Unable to update filtered publication p for {'x' * 300}"
    trace = f'{unable}\n\tat a.B.c(B.java:1)\nCaused by: PSQLException: ERROR: syntax error at or near "WITH"\n'

    told = failure(trace)

    assert "Unable to update filtered publication" in told
    assert 'syntax error at or near "WITH"' in told


def test_what_is_suppressed_has_no_root_among_the_causes() -> None:
    trace = (TRACES / "credentials.txt").read_text()

    told = failure(trace)

    assert told.endswith('FATAL: password authentication failed for user "…"')


@pytest.mark.parametrize("trace", [None, "", "java.lang.Error: no slot"])
def test_what_nobody_knows_is_restarted(trace: str | None) -> None:
    assert causes.of(trace) == causes.UNKNOWN
    assert causes.said(trace, causes.UNKNOWN) is None
