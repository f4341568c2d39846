"""Headers of dead letters and retry records: read back as written, in the encodings other tools know, and bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import headers
from headrace.failure import Failure, Past, Reason, Traced
from headrace.record import Headers, Position, Record

TEXT = st.text(max_size=50)
OURS = (
    *("__dlq.errors.topic", "__dlq.errors.partition", "__dlq.errors.offset", "__dlq.errors.message"),
    *("kafka_dlt-original-topic", "kafka_dlt-original-partition", "kafka_dlt-original-timestamp"),
    *("retry_topic-attempts", "headrace.attempts", "headrace.handler-status", "headrace.redrive-count"),
    *("headrace.message-id", "headrace.redrive-id", "headrace.origin-traceparent", "headrace.first-failed-at"),
)
VALUES = st.none() | st.binary() | st.sampled_from([b"9" * 5000, b"-1", b"x" * 600, b"2024-01-01T00:00:00Z"])
HEADERS = st.lists(
    st.tuples(st.sampled_from(["id", "ce_id", "x", "", "traceparent", "correlation-id", *OURS]), VALUES), max_size=12
)
RECORDS = st.builds(
    Record,
    topic=st.just("orders"),
    partition=st.integers(0, 100),
    offset=st.integers(0, 2**60),
    key=st.none() | st.binary(),
    value=st.none() | st.binary(),
    headers=HEADERS.map(tuple),
    timestamp=st.none() | st.integers(0, 2**45),
)
FAILURES = st.builds(
    Failure,
    group=st.just("headrace.shop.billing"),
    reason=st.sampled_from(Reason),
    attempts=st.integers(1, 1000),
    message=st.text(max_size=4000),
    exception=TEXT,
    status=st.none() | st.integers(100, 599),
    first_failed_at=st.floats(0, 4e9),
    last_failed_at=st.floats(0, 4e9),
    traced=st.none()
    | st.builds(
        Traced,
        location=st.text(max_size=400),
        stack=st.text("ab\u00e9\n", max_size=200).map(lambda text: 50 * text),
        cause=st.none() | st.text(max_size=400),
    ),
)


def size(items: Headers) -> int:
    return sum(len(name) + len(value or b"") for name, value in items)


def again(record: Record, written: Headers) -> Record:
    """The record as it comes back through the retry topic."""
    return Record(
        topic="retry.shop.billing",
        partition=record.partition,
        offset=5,
        key=record.key,
        value=record.value,
        headers=written,
        timestamp=1,
        origin=headers.decode(written).origin,
    )


@given(record=RECORDS, failure=FAILURES)
def test_a_letter_keeps_the_records_own_headers_and_says_what_failed(record: Record, failure: Failure) -> None:
    written = headers.for_dead_letter(record, failure)
    found = headers.decode(written)
    assert written[: len(record.headers)] == record.headers
    assert headers.original(written) == record.headers
    assert found.origin == Position("orders", record.partition, record.offset)
    assert (found.group, found.attempts, found.reason) == (failure.group, failure.attempts, failure.reason.value)
    assert found.status == failure.status
    assert found.timestamp == (-1 if record.timestamp is None else record.timestamp)
    assert size(written) - size(record.headers) <= 8192


@given(record=RECORDS, failure=FAILURES, times=st.integers(1, 4))
def test_the_first_origin_wins_however_often_it_is_redriven(record: Record, failure: Failure, times: int) -> None:
    written = headers.for_dead_letter(record, failure)
    first = headers.decode(written)
    for count in range(1, times + 1):
        back = headers.for_redrive(written, redrive_id=f"r{count}", now=1.5)
        assert headers.decode(back).attempts == 0
        returned = again(record, back)
        assert returned.redriven == count
        assert returned.message_id == record.message_id == first.message_id
        written = headers.for_dead_letter(returned, failure)
        found = headers.decode(written)
        assert (found.origin, found.timestamp, found.message_id) == (first.origin, first.timestamp, first.message_id)
        assert (found.redrive_count, found.redrive_id) == (count, f"r{count}")
        assert headers.original(written) == record.headers
        assert size(written) - size(record.headers) <= 8192


@given(record=RECORDS, failure=FAILURES)
def test_a_command_says_what_failed_and_its_own_failure_stands_apart(record: Record, failure: Failure) -> None:
    """Put back after that, it is the command still."""
    command = headers.for_command(headers.for_dead_letter(record, failure))
    said = headers.decode(command)
    assert (said.compensates, said.command_reason) == (True, failure.reason.value)
    assert (said.attempts, said.redrive_count, said.redrive_id) == (0, 0, None)
    assert said.origin == record.source
    assert headers.original(command) == record.headers
    assert size(command) - size(record.headers) <= 8192

    returned = replace(again(record, command), compensates=said.compensates)
    letter = headers.for_dead_letter(returned, replace(failure, reason=Reason.COMPENSATION_FAILED))
    failed = headers.decode(letter)
    assert (returned.parked, failed.reason) == (False, "compensation-failed")
    assert (failed.command_reason, failed.command_error) == (said.command_reason, said.command_error)
    assert size(letter) - size(record.headers) <= 8192
    assert headers.decode(headers.for_redrive(letter, redrive_id="r", now=1.0)).compensates


@given(record=RECORDS, failure=FAILURES, attempts=st.integers(0, 1000), since=st.integers(0, 2**33))
def test_a_parked_record_says_how_it_was_tried_and_has_the_same_letter(
    record: Record, failure: Failure, attempts: int, since: int
) -> None:
    """What it carries is unchanged, and nobody has put it back; its dead letter says what one of its source would."""
    written = headers.for_parked(record, "g", Past(attempts, since=since, due=since + 5), by="a")
    said = headers.decode(written)
    parked = replace(record, topic="retry", offset=3, headers=written, origin=said.origin, parked=said.parked)
    assert parked.parked
    assert (parked.source, parked.message_id) == (record.source, record.message_id)
    assert (said.attempts, said.redrive_id) == (attempts, None)
    assert (said.first_failed_at or 0, said.next_attempt_at) == (since * 1000, (since + 5) * 1000)
    assert headers.original(written) == record.headers
    assert headers.for_dead_letter(parked, failure) == headers.for_dead_letter(record, failure)


def test_bytes_are_those_the_broker_and_spring_write() -> None:
    record = Record(topic="orders", partition=3, offset=258, key=b"k", value=b"v", timestamp=1_700_000_000_000)
    failure = Failure(
        group="g",
        reason=Reason.MAX_ATTEMPTS,
        attempts=8,
        message="boom",
        exception="shop.Boom",
        status=503,
        first_failed_at=1.0,
        last_failed_at=2.0,
    )
    assert dict(headers.for_dead_letter(record, failure)) == {
        "__dlq.errors.topic": b"orders",
        "__dlq.errors.partition": b"3",
        "__dlq.errors.offset": b"258",
        "__dlq.errors.group": b"g",
        "__dlq.errors.delivery.count": b"8",
        "__dlq.errors.message": b"boom",
        "kafka_dlt-original-topic": b"orders",
        "kafka_dlt-original-partition": b"\x00\x00\x00\x03",
        "kafka_dlt-original-offset": b"\x00\x00\x00\x00\x00\x00\x01\x02",
        "kafka_dlt-original-timestamp": b"\x00\x00\x01\x8b\xcf\xe5\x68\x00",
        "kafka_dlt-original-timestamp-type": b"CreateTime",
        "kafka_dlt-original-consumer-group": b"g",
        "kafka_dlt-exception-fqcn": b"shop.Boom",
        "kafka_dlt-exception-message": b"boom",
        "headrace.schema-version": b"1",
        "headrace.attempts": b"8",
        "headrace.first-failed-at": b"1000",
        "headrace.last-failed-at": b"2000",
        "headrace.reason": b"max-attempts",
        "headrace.handler-status": b"503",
        "headrace.message-id": b"orders-3-258",
        "headrace.redrive-count": b"0",
        "correlation-id": b"orders-3-258",
    }


@pytest.mark.case("delivery-21")
def test_the_end_of_a_stack_is_kept_within_4_kb_or_what_is_left_of_8() -> None:
    traced = Traced(location="/app/billing.py, line 7", stack="é\n" * 3000 + "the end", cause="builtins.KeyError")
    record = Record(topic="t" * 249, partition=3, offset=258, key=b"k", value=b"v", headers=(("id", b"i" * 512),))
    short = dict(headers.for_dead_letter(record, replace(FAILURE, traced=traced)))
    letter = headers.for_dead_letter(record, replace(FAILURE, traced=traced, group="g" * 249, message="m" * 9000))
    stacks = short["kafka_dlt-exception-stacktrace"], dict(letter)["kafka_dlt-exception-stacktrace"]

    assert [stack is not None and stack.decode().endswith("é\nthe end") for stack in stacks] == [True, True]
    assert 4090 < len(stacks[0] or b"") <= 4096
    assert 1000 < len(stacks[1] or b"") < 3000
    assert size(letter) - 514 <= 8192 - 512, "the pointer of a letter without value has room"
    assert short["kafka_dlt-exception-cause-fqcn"] == b"builtins.KeyError"
    assert headers.decode(letter).location == "/app/billing.py, line 7"


def test_retry_bytes_are_those_spring_writes() -> None:
    letter = ((("kafka_dlt-original-timestamp"), (255).to_bytes(8, "big")),)
    found = dict(headers.for_redrive(letter, redrive_id="r", now=0.128))
    assert found["retry_topic-attempts"] == b"\x00\x00\x00\x01"
    assert found["retry_topic-backoff-timestamp"] == b"\x00\x80"
    assert found["retry_topic-original-timestamp"] == b"\x00\xff"


def test_a_letter_of_the_broker_alone_is_read() -> None:
    found = headers.decode(
        [
            ("__dlq.errors.topic", b"orders"),
            ("__dlq.errors.partition", b"1"),
            ("__dlq.errors.offset", b"7"),
            ("__dlq.errors.delivery.count", b"5"),
        ]
    )
    assert found.origin == Position("orders", 1, 7)
    assert (found.attempts, found.redrive_count, found.reason) == (5, 0, None)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((("x-correlation-id", b"b"), ("correlation-id", b"a")), "a"),
        ((("correlationId", b"c"), ("x-correlation-id", b"b")), "b"),
        ((("kafka_correlationId", b"\x00\x01"), ("ce_correlationid", b"d")), "d"),
        ((("correlation-id", b"\xff"), ("id", b"order-7")), "order-7"),
        ((), "orders-3-258"),
    ],
)
def test_one_correlation_id_stays_through_dead_letter_and_redrive(given: Headers, found: str) -> None:
    """The producer's, wherever it put it; else what names the message."""
    record = Record(topic="orders", partition=3, offset=258, key=b"k", value=b"v", headers=given)
    failure = Failure(
        group="g", reason=Reason.TIMEOUT, attempts=1, message="", exception="", first_failed_at=1, last_failed_at=1
    )
    letter = headers.for_dead_letter(record, failure)
    back = again(record, headers.for_redrive(letter, redrive_id="r1", now=1.0))

    assert record.correlation_id == back.correlation_id == found
    assert again(record, headers.for_dead_letter(back, failure)).correlation_id == found


FAILURE = Failure(
    group="g", reason=Reason.TIMEOUT, attempts=1, message="", exception="", first_failed_at=1, last_failed_at=1
)


@pytest.mark.case("delivery-8")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headrace.handler-status", b"9" * 5000),
        ("headrace.redrive-id", b"r-0"),
        ("headrace.origin-traceparent", b"00-aa"),
        ("headrace.redrive-count", b"41"),
        ("headrace.message-id", b"stolen"),
        ("headrace.command", b"compensate"),
        ("__dlq.errors.topic", b"elsewhere"),
    ],
)
def test_what_a_source_record_calls_like_ours_stays_data(name: str, value: bytes) -> None:
    """It is in the letter and in the retry record as it came, and is not read as ours in either."""
    record = Record(topic="orders", partition=3, offset=258, key=b"k", value=b"v", headers=((name, value),))
    letter = headers.for_dead_letter(record, FAILURE)
    back = headers.for_redrive(letter, redrive_id="r1", now=1.0)
    found = headers.decode(letter)

    assert letter[0] == back[0] == (name, value)
    assert (found.origin, found.status, found.redrive_id, found.origin_traceparent, found.redrive_count) == (
        Position("orders", 3, 258),
        None,
        None,
        None,
        0,
    )
    assert not found.compensates
    assert record.message_id == found.message_id == again(record, back).message_id == "orders-3-258"
    assert (record.redriven, again(record, back).redriven) == (0, 1)


@pytest.mark.case("delivery-5")
@given(written=HEADERS, partition=st.integers(0, 9))
def test_foreign_letters_are_read_whatever_they_say(written: list[tuple[str, bytes | None]], partition: int) -> None:
    """What somebody else wrote into the dead-letter topic goes back, comes again, and is dead-lettered again."""
    letter = tuple(written)
    back = headers.for_redrive(letter, redrive_id="r1", now=1.0)
    record = Record(
        topic="retry.shop.billing",
        partition=partition,
        offset=5,
        key=None,
        value=None,
        headers=back,
        origin=headers.decode(back).origin,
    )
    found = headers.decode(headers.for_dead_letter(record, FAILURE))
    assert found.origin == record.source
    assert found.message_id == record.message_id
    assert record.redriven in (0, found.redrive_count)


@pytest.mark.case("delivery-12")
@pytest.mark.parametrize("value", [b"\xff\x00\x01\xfe" * 2, b"i" * 300, b"i" * 5000, "größe 7".encode()])
def test_an_id_is_the_same_in_letters_and_after_each_redrive(value: bytes) -> None:
    record = Record(topic="orders", partition=3, offset=258, key=b"k", value=b"v", headers=(("id", value),))
    letter = headers.for_dead_letter(record, FAILURE)
    back = again(record, headers.for_redrive(letter, redrive_id="r1", now=1.0))
    letters = (letter, headers.for_dead_letter(back, FAILURE))

    assert [headers.decode(one).message_id for one in letters] == [record.message_id] * 2
    assert back.message_id == record.message_id
    assert back.correlation_id == record.correlation_id
