"""The row about the polling publisher. Each replica tells of the whole table, whose figures are read with max."""

from __future__ import annotations

from dashboards.src.panels import Panel, Row
from dashboards.src.promql import RELAY, R, count, most, rate


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (Row(title="Outbox relays: are rows published?", panels=(*_waiting(), *_failing())),)


def _waiting() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Age of the first pending row",
            about="Below a few seconds is good. What rises stands still or is not caught up: see What is in the way.",
            unit="s",
            queries={RELAY: most(R, "headrace_relay_oldest_pending_seconds")},
            bad_from=300,
        ),
        Panel(
            title="Pending rows",
            about="Peaks that fall again are good. A line that only rises needs more replicas, or Kafka is slow.",
            unit="short",
            queries={RELAY: most(R, "headrace_relay_backlog")},
        ),
        Panel(
            title="Published rows",
            about="Rows a second that Kafka acknowledged. As many as the application inserts is good.",
            unit="ops",
            queries={RELAY: rate(R, "headrace_relay_published_total")},
        ),
    )


def _failing() -> tuple[Panel, ...]:
    return (
        Panel(
            title="What is in the way",
            about="Nothing is good. `kubectl describe hrrelay NAME` says it in a sentence; rows of a topic that takes"
            " nothing wait alone.",
            unit="short",
            queries={
                f"{RELAY} database": f"{most(R, 'headrace_relay_database_away')} > 0",
                f"{RELAY} Kafka": f"{most(R, 'headrace_relay_kafka_away')} > 0",
                f"{RELAY} topics": f"{most(R, 'headrace_relay_waiting_topics')} > 0",
            },
        ),
        Panel(
            title="Refused rows",
            about="None is good. Rows that Kafka did not take: refused ones are tried again, failed ones are not.",
            unit="short",
            queries={f"{RELAY} {{{{outcome}}}}": count(f"{R}, outcome", "headrace_relay_failures_total")},
            shape="bars",
        ),
        Panel(
            title="Rows given up",
            about="None is good. `headrace outbox list` in a pod says why, and `retry` puts them back.",
            unit="short",
            queries={RELAY: most(R, "headrace_relay_failed_rows")},
            bad_from=1,
        ),
    )
