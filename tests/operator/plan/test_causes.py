"""What a trace is a case of: traces as a real Debezium wrote them, each of a failure that was made on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace_operator.plan import causes

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
}


@pytest.mark.parametrize(("name", "cause"), KINDS.items())
def test_a_trace_is_known_by_its_words(name: str, cause: str) -> None:
    trace = (TRACES / f"{name}.txt").read_text()

    assert causes.of(trace).name == cause
    assert causes.said(trace, causes.of(trace))


def test_each_trace_is_judged() -> None:
    assert {path.stem for path in TRACES.glob("*.txt")} == set(KINDS)


def test_what_is_suppressed_is_told_in_the_databases_words() -> None:
    trace = (TRACES / "credentials.txt").read_text()

    assert 'FATAL: password authentication failed for user "…"' in (causes.said(trace, causes.of(trace)) or "")


@pytest.mark.parametrize("trace", [None, "", "java.lang.Error: no slot"])
def test_what_nobody_knows_is_restarted(trace: str | None) -> None:
    assert causes.of(trace) == causes.UNKNOWN
    assert causes.said(trace, causes.UNKNOWN) is None
