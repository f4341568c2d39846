"""What the command prints of some dead letters and resources, at several widths.

``python -m tests.runtime.cli.transcripts`` writes them to tests/golden/cli; the test beside it compares.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headrace.cli.laptop import dlq, status, table
from headrace.letters.reading import Letter, Source

GOLDEN = Path(__file__).parents[2] / "golden/cli"
WIDTHS = {"80": 80, "120": 120, "200": 200, "piped": None}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNREACHED = (
    "POST http://billing.shop.svc:8080/events: Cannot connect to host billing.shop.svc:8080 ssl:default"
    " [Connect call failed ('10.0.0.7', 8080)]"
)


def letter(**changes: Any) -> Letter:
    """Return a dead letter, as the pod tells of it."""
    known: dict[str, Any] = {
        "name": "3/120",
        "key": "customer-7",
        "source": Source(topic="shop.orders-db.outbox.order", partition=3, offset=10310),
        "reason": "max-attempts",
        "attempts": 8,
        "handler_status": None,
        "error": UNREACHED,
        "first_failed_at": NOW - timedelta(minutes=9),
        "last_failed_at": NOW - timedelta(minutes=5),
        "redrive_count": 0,
        "message_id": "m-1",
        "bytes": 12,
    }
    return Letter(**{**known, **changes})


LETTERS = (
    letter(),
    letter(name="11/1204731", key='{"tenant":"acme-europe","customer":"customer-0000007"}'),
    letter(name="0/0", key="a\x1b[2J\x1b]0;owned\x07\nfake-row", reason="non-retriable", attempts=1,
           error="HTTP 422: \x1b[31mred\x1b[2J\x1b]0;owned\x07 next line"),
    letter(name="0/1", key=None, source=None, reason=None, attempts=None, error=None),
    letter(name="0/2", key="顧客七" * 20, error="顧客がありません" * 20),
)  # fmt: skip


def resource(name: str, *, ready: str, reason: str, message: str = "", **said: Any) -> dict[str, Any]:
    """Return a resource with a status."""
    conditions = [{"type": "Ready", "status": ready, "reason": reason, "message": message}]
    return {"metadata": {"namespace": "shop", "name": name}, "status": {"conditions": conditions, **said}}


FAILED = resource(
    "orders-db-of-the-shop-in-europe", ready="False", reason="TaskFailed", tasks=[{"state": "FAILED"}],
    message="Task 0 failed: org.apache.kafka.connect.errors.ConnectException: Could not create the connection to the"
    " database: FATAL: password authentication failed\x1b[2J\nfor user",
)  # fmt: skip
RUNS = resource(
    "billing", ready="True", reason="Ready", replicas=3, readyReplicas=3, lag={"records": 1249990, "seconds": 86399},
    deadLetters={"outstanding": 11999},
)  # fmt: skip
STATES = (status.state(FAILED, "Connector"), status.state(RUNS, "Consumer"))


def texts() -> dict[str, str]:
    """Return each transcript by the name of its file."""
    tables = {
        "dlq-list": dlq.columns(LETTERS, NOW),
        "status": status.columns(STATES, everywhere=False),
        "status-all": status.columns(STATES, everywhere=True),
    }
    return {
        f"{name}-{width}.txt": table.text(columns, room)
        for name, columns in tables.items()
        for width, room in WIDTHS.items()
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (GOLDEN / name).write_text(text)
