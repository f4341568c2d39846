"""Names of captured changes: the same wherever Debezium writes a change, another for each other change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import changes
from headrace.record import Record

POSTGRES = {
    "version": "3.6.0.Final",
    "connector": "postgresql",
    "name": "shop.orders-db",
    "ts_ms": 1_764_000_000_000,
    "snapshot": "false",
    "db": "shop",
    "sequence": '["24023128","24023176"]',
    "schema": "public",
    "table": "orders",
    "txId": 771,
    "lsn": 24023176,
    "xmin": None,
}
MYSQL = {
    "connector": "mysql",
    "name": "shop.stock-db",
    "ts_ms": 1_764_000_000_000,
    "db": "shop",
    "table": "stock",
    "gtid": "3e11fa47-71ca-11e1-9e33-c80aa9429562:23",
    "file": "binlog.000003",
    "pos": 154,
    "row": 0,
}


def record(source: dict[str, Any], *, key: bytes | None = b'{"id":1}', offset: int = 1, **more: Any) -> Record:
    """Return a change as Debezium writes it; ``more`` replaces parts of the envelope."""
    value = {"before": None, "after": {"id": 1, "amount": 10}, "source": source, "op": "c", "ts_ms": offset, **more}
    return Record(topic="orders", partition=0, offset=offset, key=key, value=json.dumps(value).encode())


@pytest.mark.parametrize("source", [POSTGRES, MYSQL])
def test_a_change_written_again_has_the_same_id(source: dict[str, Any]) -> None:
    """At another offset, by a later Debezium, which read it at another time and after another commit."""
    later = source | {"version": "3.7.0.Final", "sequence": '["24020000","24023176"]', "snapshot": "last"}
    assert record(source).message_id == record(later, offset=99).message_id


@pytest.mark.parametrize(
    "other",
    [
        record(POSTGRES | {"lsn": 24023177}),
        record(POSTGRES | {"txId": 772}),
        record(POSTGRES | {"name": "shop.other-db"}),
        record(POSTGRES | {"table": "orders2"}),
        record(POSTGRES | {"ts_ms": 1_764_000_000_001}),
        record(POSTGRES, key=b'{"id":2}'),
        record(POSTGRES, op="u"),
        record(POSTGRES, after={"id": 1, "amount": 11}),
        record(POSTGRES, before={"id": 1}),
    ],
)
def test_another_change_has_another_id(other: Record) -> None:
    """Also one of the same place in the log: PostgreSQL's COPY writes many rows at one."""
    assert other.message_id.startswith("shop.public.orders")
    assert other.message_id != record(POSTGRES).message_id


def test_changes_of_one_transaction_are_told_apart() -> None:
    """In MySQL they share a GTID, and rows of one statement a position, too."""
    rows = [record(MYSQL | {"pos": pos, "row": row}) for pos in (154, 200) for row in (0, 1)]
    assert len({one.message_id for one in rows}) == 4


@pytest.mark.parametrize(
    "unnamed",
    [
        record(POSTGRES, key=None),
        record(POSTGRES | {"lsn": None}),
        record({"connector": "postgresql"}),
        record(POSTGRES | {"connector": "other"}),
        record(POSTGRES, op="m"),
        record(POSTGRES, op=["c"]),
        Record(topic="orders", partition=0, offset=1, key=b"k", value=None),
        Record(topic="orders", partition=0, offset=1, key=b"k", value=b'{"source": 1, "op": "c"}'),
        Record(topic="orders", partition=0, offset=1, key=b"k", value=b'["source", "op"]'),
        Record(topic="orders", partition=0, offset=1, key=b"k", value=b'{"source": {}, "op": "c"'),
        Record(topic="orders", partition=0, offset=1, key=b"k", value=b'"source""op"' + b"[" * 100_000),
    ],
)
def test_what_is_no_such_change_is_named_by_its_place(unnamed: Record) -> None:
    """Rows without a key share places in the log; a tombstone says nothing."""
    assert unnamed.message_id == "orders-0-1"


def test_a_producers_own_id_goes_first() -> None:
    """An outbox row's event id, which is the same in whatever form the row is written."""
    named = Record(topic="t", partition=0, offset=1, key=b"k", value=record(POSTGRES).value, headers=(("id", b"m-1"),))
    assert named.message_id == "m-1"


def test_a_schema_beside_the_change_makes_no_difference() -> None:
    """Kafka Connect's converter writes one where it is told to."""
    plain = record(POSTGRES)
    wrapped = json.dumps({"schema": {"type": "struct"}, "payload": json.loads(plain.value or b"")}).encode()
    assert changes.identity(plain.key, wrapped) == changes.identity(plain.key, plain.value)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)


@given(JSON, JSON, JSON, st.binary(max_size=5))
def test_whatever_is_in_a_change_it_has_a_printable_bounded_id(op: Any, part: Any, after: Any, key: bytes) -> None:
    source = POSTGRES | {"lsn": part, "table": part}
    for kind in (op, "c"):
        found = record(source, key=key, op=kind, after=after).message_id
        assert found.isprintable()
        assert 0 < len(found.encode()) <= 512
