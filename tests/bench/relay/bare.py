"""The loop that anybody would write: SELECT some rows, produce them, UPDATE them. ``python -m tests.bench.relay.bare``.

It knows no replicas, no failures and no keys that wait: what a relay costs beside it is the price of those. Its
producer is set as the relay's, and it reads as many rows at once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from confluent_kafka import Message, Producer

BATCH = 500
PAUSE = 0.02
LOOK = (
    "SELECT id, messageId, messageType, messageKey, payload FROM outbox"
    f" WHERE status = 'PENDING' ORDER BY id LIMIT {BATCH}"
)
MARK = "UPDATE outbox SET status = 'PROCESSED', processedAt = {now} WHERE id {among}"


def main(settings: dict[str, Any]) -> None:
    """Publish what is pending, for ever; ``settings`` say where the database, Kafka and the topics are."""
    connection, mark = _opened(settings)
    producer = Producer(
        {
            "bootstrap.servers": settings["kafka"],
            "enable.idempotence": "true",
            "acks": "all",
            "linger.ms": "2",
            "compression.type": "zstd",
        }
    )
    with connection.cursor() as cursor:
        while True:
            cursor.execute(LOOK)
            rows = cursor.fetchall()
            if not rows:
                time.sleep(PAUSE)
                continue
            written: list[Any] = []
            for id, message, kind, key, payload in rows:
                headers = [("id", str(message).encode()), ("eventType", kind.encode())]
                producer.produce(
                    settings["prefix"] + kind, key=key, value=payload, headers=headers, on_delivery=_noting(written, id)
                )
            producer.flush()
            cursor.execute(*mark(written))


def _noting(written: list[Any], id: Any) -> Callable[[Any, Message], None]:
    def on_delivery(error: Any, _: Message) -> None:
        if error is None:
            written.append(id)

    return on_delivery


def _opened(settings: dict[str, Any]) -> tuple[Any, Callable[[list[Any]], tuple[Any, Any]]]:
    port = settings["port"]
    if settings["dialect"] == "postgresql":
        opened: Any = psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="relay", autocommit=True)
        return opened, lambda ids: (MARK.format(now="now()", among="= ANY(%s)"), (ids,))
    opened = pymysql.connect(host="127.0.0.1", port=port, user="root", database="relay", autocommit=True)
    return opened, lambda ids: (MARK.format(now="UTC_TIMESTAMP(6)", among="IN %s"), (tuple(ids),))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
