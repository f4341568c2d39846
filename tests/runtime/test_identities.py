"""What a handled message is remembered by: its id, and where that is a place alone, when it was written there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace import headers
from headrace.failure import Failure, Reason
from headrace.record import Headers, Position, Record

RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b"{}", timestamp=1000)


def put_back(record: Record) -> Record:
    """Return a record as it comes after its dead letter was put back, twice."""
    for at in (5000, 9000):
        failure = Failure(
            group="g",
            reason=Reason.MAX_ATTEMPTS,
            attempts=8,
            message="",
            exception="E",
            first_failed_at=2,
            last_failed_at=3,
        )
        letter = headers.for_dead_letter(record, failure)
        again = headers.for_redrive(letter, redrive_id="r", now=at / 1000)
        record = replace(record, topic="retry", offset=at, origin=Position("orders", 0, 1), headers=again, timestamp=at)
    return record


@pytest.mark.parametrize("timestamp", [1000, None])
def test_a_record_is_remembered_alike_wherever_it_comes_from(timestamp: int | None) -> None:
    record = replace(RECORD, timestamp=timestamp)
    assert put_back(record).redriven == 2
    assert put_back(record).deduplication_id == record.deduplication_id


def test_records_at_one_place_are_told_apart_by_when_they_were_written() -> None:
    """The id that handlers see is that of the place."""
    other = replace(RECORD, timestamp=2000)
    assert other.message_id == RECORD.message_id == "orders-0-1"
    assert len({one.deduplication_id for one in (RECORD, other, put_back(other))}) == 2


@pytest.mark.parametrize("written", [b"orders-0-1", b"orders-0-1\t1000", b"orders-0-1 1000"])
def test_an_id_of_a_producer_is_never_that_of_a_place(written: bytes) -> None:
    """And it names its message whenever that is written."""
    named = replace(RECORD, headers=(("id", written),))
    assert named.deduplication_id == named.message_id == replace(named, timestamp=2000).deduplication_id
    assert named.deduplication_id != RECORD.deduplication_id


OWN = (("ce_id", b"c"), ("id", b"i"), ("event-id", b"mine"), ("event-id", b"\xff"), ("event-id", b"mine"))


@pytest.mark.parametrize(
    ("own", "named"),
    [(OWN, "mine"), (OWN[:2], "c"), ((*OWN[:2], ("event-id", b"")), "c"), ((("event-id", None),), "orders-0-1")],
)
def test_the_header_that_the_consumer_names_goes_first(own: Headers, named: str) -> None:
    """Where a record has none, or an empty one, it is named as ever; and alike wherever it comes from."""
    record = replace(RECORD, headers=own, id_header="event-id")
    assert (record.message_id, put_back(record).message_id) == (named, named)
    assert put_back(record).deduplication_id == record.deduplication_id
