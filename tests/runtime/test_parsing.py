"""Bytes that anybody may have written: read or left, never an exception, never more than was asked for."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import parsing

LONG = b"9" * 5000
BYTES = st.binary(max_size=40) | st.integers().map(lambda n: b"%d" % n) | st.sampled_from([LONG, b"-" + LONG])


@pytest.mark.case("delivery-5")
@given(value=BYTES | st.none(), least=st.integers(-10, 0), most=st.integers(0, parsing.INT64))
def test_a_number_lies_in_its_bounds_or_is_none(value: bytes | None, least: int, most: int) -> None:
    for read in (parsing.digits, parsing.integer):
        found = read(value, least=least, most=most)
        assert found is None or least <= found <= most


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"17", 17),
        (b"\x00\x00\x00\x11", 17),
        (b"\x00\x00\x00\x00\x00\x00\x00\x11", 17),
        (b"1700000000000", 1_700_000_000_000),
        (b"2024-01-01T00:00:00Z", None),
        (b"yesterday", None),
        (b"", None),
        ("²".encode(), None),
        (LONG, None),
    ],
)
def test_numbers_as_text_and_as_java_writes_them(value: bytes, found: int | None) -> None:
    assert parsing.integer(value) == found


@given(value=BYTES)
def test_texts_and_topics_are_bounded(value: bytes) -> None:
    assert len(parsing.text(value * 100, 20) or "") <= 20
    assert len(parsing.topic(value * 100) or "") <= 249


@pytest.mark.parametrize("value", [b"orders\r\nx: y", b"", b"o" * 250, "ä".encode(), b"a b"])
def test_what_kafka_would_not_take_is_no_topic(value: bytes) -> None:
    assert parsing.topic(value) is None


@pytest.mark.case("delivery-12")
def test_ids_of_random_bytes_are_different_ids() -> None:
    given = {os.urandom(8) for _ in range(128)}
    assert len({parsing.identifier(value) for value in given}) == len(given)


@pytest.mark.case("delivery-12")
@given(
    one=st.binary(max_size=30) | st.text(max_size=30).map(str.encode),
    other=st.binary(max_size=30) | st.sampled_from([b"hex:ff", b"\xff", b"digest:", b"a\x00", b"a", "ä".encode()]),
)
def test_different_values_are_different_ids(one: bytes, other: bytes) -> None:
    found = parsing.identifier(one)
    assert found.isprintable()
    assert (found == parsing.identifier(other)) == (one == other)
    assert one == other or parsing.identifier(found.encode()) != parsing.identifier(other) or found.encode() == other


@pytest.mark.case("delivery-12")
@pytest.mark.parametrize("value", [b"x" * 512, b"x" * 513, b"\xff" * 254, b"\xff" * 255, "ä".encode() * 400])
def test_a_long_id_is_whole_or_a_digest_and_changes_with_its_last_byte(value: bytes) -> None:
    found = parsing.identifier(value)
    assert len(found.encode()) <= parsing.LONGEST_ID
    assert found != parsing.identifier(value[:-1] + b"y")


def test_readable_ids_stay_as_they_are() -> None:
    for text in ("m-1", "order 7", "größe%20", "x" * 300):
        assert parsing.identifier(text.encode()) == text


@pytest.mark.parametrize("milliseconds", [10**18, -(10**18), 10**400, None])
def test_a_time_that_no_calendar_has_is_none(milliseconds: int | None) -> None:
    assert parsing.moment(milliseconds) is None
