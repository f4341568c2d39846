"""What names a change that Debezium captured, wherever it lies on Kafka: its place in the database's log.

Debezium delivers at least once: after a restart it writes changes again, at new offsets, and all but their place in the
log may be told anew (when they were read, which commit came before). Pure, and lenient: what is no such change has no
name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

POSITIONS: Mapping[str, tuple[str, ...]] = {
    "postgresql": ("lsn", "txId"),
    "mysql": ("file", "pos", "row"),
    "mariadb": ("file", "pos", "row"),
    "sqlserver": ("commit_lsn", "change_lsn", "event_serial_no"),
}
"""The fields of ``source`` that say where in its log a database keeps a change, by connector.

Not ``sequence``, which says too what was committed before, nor a GTID, which many changes of a transaction share.
"""

OPERATIONS = ("c", "u", "d", "r")
PLACE = ("connector", "name", "db", "schema", "table")
MARKS = (b'"source"', b'"op"')
DIGITS = 32


def identity(key: bytes | None, value: bytes | None) -> bytes | None:
    """Return what names the change that ``value`` is, in Debezium's JSON; None for anything else, or without a key.

    Changes of rows without a key may share a place in the log (PostgreSQL's COPY writes many rows at once), and so may
    rows of one key that is not unique: the digest is of key and content as well.
    """
    if key is None or value is None or not all(mark in value for mark in MARKS):
        return None
    try:
        change = _change(json.loads(value))
        return None if change is None else _named(key, change)
    except (ValueError, RecursionError):
        return None


def _change(value: Any) -> Mapping[str, Any] | None:
    """Return the envelope of a change, also where its schema is beside it."""
    if isinstance(value, dict) and "payload" in value:
        value = value["payload"]
    if not isinstance(value, dict) or value.get("op") not in OPERATIONS or not isinstance(value.get("source"), dict):
        return None
    return value


def _named(key: bytes, change: Mapping[str, Any]) -> bytes | None:
    source, op = change["source"], change["op"]
    position = [source.get(field) for field in POSITIONS.get(str(source.get("connector")), ())]
    if not position or position[0] is None:
        return None
    known = [source.get(field) for field in (*PLACE, "ts_ms")]
    whole = json.dumps([known, position, op, key.hex(), change.get("before"), change.get("after")], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]
    table = ".".join(str(source[part]) for part in PLACE[2:] if source.get(part) is not None)
    return f"{table}/{'-'.join(map(str, position))}/{op}/{digest}".encode(errors="surrogatepass")
