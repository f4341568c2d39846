"""Whatever a record carries, the way from the client's message to its dead letter and back never raises."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE
from hypothesis import given
from hypothesis import strategies as st

from headrace import headers, parsing
from headrace.cli import answers
from headrace.failure import Failure, Reason
from headrace.handlers.http import event_headers
from headrace.kafka.messages import record_of
from headrace.kafka.topics import stored_of
from headrace.letters import reading
from headrace.record import Headers, Record
from tests.runtime.test_headers import OURS

RETRY = "retry.shop.billing"
NAMES = st.sampled_from([*OURS, "id", "ce_id", "ce_type", "content-type", "baggage", "correlation-id", ""]) | st.text(
    st.characters(codec="utf-8"), max_size=20
)
NUMBERS = st.integers().map(lambda n: b"%d" % n) | st.integers(-(2**63), 2**63 - 1).map(
    lambda n: n.to_bytes(8, "big", signed=True)
)
WORDS = st.sampled_from([b"9" * 5000, b"1e9", b"NaN", b"-0", b"a\r\nx: y", b"\xff\xfe", "²".encode(), b"x" * 70_000])
VALUES = st.none() | st.binary(max_size=40) | NUMBERS | WORDS
KINDS = st.sampled_from([TIMESTAMP_NOT_AVAILABLE, TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME])


@dataclass(frozen=True)
class Sent:
    """A message as Kafka's client gives it."""

    of: str
    written: Headers | None
    at: tuple[int, int]
    name: bytes | None
    payload: bytes | None

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 258

    def leader_epoch(self) -> int | None:
        return None

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.payload

    def timestamp(self) -> tuple[int, int]:
        return self.at

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """Raise what the client raises for a name that is not UTF-8."""
        if self.written is None:
            raise SystemError("returned a result with an exception set")
        return list(self.written) or None


SENT = st.builds(
    Sent,
    of=st.sampled_from(["orders", RETRY]),
    written=st.none() | st.lists(st.tuples(NAMES, VALUES), max_size=10).map(tuple),
    at=st.tuples(KINDS, st.integers(-(2**63), 2**63 - 1)),
    name=st.none() | st.binary(max_size=40) | WORDS,
    payload=st.none() | st.binary(max_size=40) | WORDS,
)
FAILURE = Failure(
    group="g", reason=Reason.TIMEOUT, attempts=1, message="", exception="", first_failed_at=1, last_failed_at=1
)


@pytest.mark.case("delivery-5")
@pytest.mark.case("delivery-8")
@given(sent=SENT)
def test_any_record_is_read_delivered_dead_lettered_listed_and_put_back(sent: Sent) -> None:
    record = record_of(sent, RETRY)
    letter = headers.for_dead_letter(record, FAILURE)
    stored = replace(stored_of(sent), headers=letter)
    back = headers.for_redrive(letter, redrive_id="r-1", now=1.0)
    returned = record_of(replace(sent, of=RETRY, written=back), RETRY)

    _delivers(record)
    assert (record.unreadable is None) == (sent.written is not None)
    assert answers.decode(answers.encode(answers.Listed(letter=reading.letter(stored)))) is not None
    assert (returned.origin, returned.message_id, returned.attempt) == (record.source, record.message_id, 1)
    assert headers.original(letter) == (headers.original(record.headers) if record.origin else record.headers)


@pytest.mark.case("delivery-5")
@given(sent=SENT)
def test_any_record_in_the_dead_letter_topic_is_listed_opened_and_put_back(sent: Sent) -> None:
    stored = stored_of(sent)
    opened = reading._opened(stored, sent.payload)
    said = answers.decode(answers.encode(answers.Found(opened=opened)))

    assert said is not None
    assert isinstance(said, answers.Found)
    assert said.opened.letter.bytes == len(sent.payload or b"")
    record_of(replace(sent, of=RETRY, written=headers.for_redrive(stored.headers, redrive_id="r", now=1.0)), RETRY)


def _delivers(record: Record) -> None:
    for name, value in event_headers(record, "shop").items():
        assert name.isascii()
        assert value.isascii()
        assert value.isprintable()
        assert len(value) <= 4096
    assert len(record.message_id.encode()) <= parsing.LONGEST_ID
    assert record.redriven <= parsing.INT32
