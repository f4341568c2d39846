"""What a row becomes on Kafka: as the rows of a captured outbox do, so that a Consumer reads both alike. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from headrace.names import outbox_topic
from headrace.record import Headers
from headrace.relay.holds import Lane, Route


class Record(NamedTuple):
    """What is written to Kafka."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One pending row; ``lane`` is what is published in order; it and the route are as the database has them."""

    id: Any
    failures: int
    lane: Lane
    route: Route
    record: Record

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.record.key or b"") + len(self.record.value or b"")


def row(read: Sequence[Any], prefix: str) -> Row:
    """Return a row as `Statements.look` reads it."""
    id, failures, lane, route, message_id, kind, payload, key, topic, trace = read
    headers = (("id", _bytes(message_id)), ("eventType", _bytes(kind)), ("traceparent", _bytes(trace)))
    return Row(
        id=id,
        failures=int(failures or 0),
        lane=lane,
        route=route,
        record=Record(
            topic=outbox_topic(prefix, _text(topic) or _text(kind)),
            key=_bytes(key),
            value=_bytes(payload),
            headers=tuple((name, value) for name, value in headers if value is not None),
        ),
    )


def _bytes(value: Any) -> bytes | None:
    match value:
        case None | bytes():
            return value
        case bytearray() | memoryview():
            return bytes(value)
        case Decimal():
            return f"{value:f}".encode()
        case _:
            return str(value).encode()


def _text(value: Any) -> str:
    return (_bytes(value) or b"").decode(errors="replace")
