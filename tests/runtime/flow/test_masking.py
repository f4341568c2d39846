"""What a log tells of a failure's text: not what is in the record."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.flow.masking import LONGEST, masked
from headrace.record import Record

pytestmark = pytest.mark.case("delivery-21")

ORDER = {"customer": "ada@example.org", "amount": "twelve", "note": "Größe 44, urgent", "ids": [4711, 12.50]}


def record(key: bytes | None = b"customer-7", value: bytes | None = json.dumps(ORDER).encode()) -> Record:
    return Record(topic="orders", partition=0, offset=1, key=key, value=value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("KeyError: 'total'", "KeyError: 'total'"),
        ("KeyError: 'customer'", "KeyError: 'customer'"),
        ("invalid literal for int() with base 10: 'twelve'", "invalid literal for int() with base 10: '…'"),
        ("amount: [type=int_parsing, input_value='twel...lve']", "amount: [type=int_parsing, input_value='…...lve']"),
        ("no such customer: ada@example.org", "no such customer: …"),
        ("no such order: order-4711", "no such order: order-…"),
        ("nobody is customer-7.", "nobody is …."),
        ("Größe is no number", "… is no number"),
        ("HTTP 422:\nunknown\tcurrency", "HTTP 422: unknown currency"),
    ],
)
def test_names_of_fields_stay_and_values_and_key_do_not(text: str, shown: str) -> None:
    assert masked(text, record()) == shown


@pytest.mark.parametrize(
    ("key", "value", "text", "shown"),
    [
        (b"7", b"", "customer 7 of 17", "customer … of 17"),
        (None, None, "no value", "no value"),
        (b"k", b"\xffsecret", r"cannot read b'\xffsecret'", r"cannot read b'\xff…'"),
        (b"k", b"plain secret words", "Expecting value: secret", "Expecting value: …"),
        (b"k", b'{"a": "\\u00e9clair"}', "no éclair", "no …"),
        (b"k", b"\\u00zz", "no text", "no text"),
    ],
)
def test_whatever_key_and_value_are(key: bytes | None, value: bytes | None, text: str, shown: str) -> None:
    assert masked(text, record(key, value)) == shown


def test_a_word_is_looked_for_in_all_of_a_large_value_and_key() -> None:
    value = b"\xff" * 900_000 + b"the last"
    assert masked("ValueError: last of all", record(b"9" * 100_000, value)) == "ValueError: … of all"


@given(st.text(), st.none() | st.binary(), st.none() | st.binary())
def test_no_text_key_or_value_makes_it_fail_or_long(text: str, key: bytes | None, value: bytes | None) -> None:
    assert len(masked(text, record(key, value))) <= LONGEST


@given(st.text("abcdefgh0123456789", min_size=4, max_size=40))
def test_a_quoted_value_is_never_shown(secret: str) -> None:
    shown = masked(f"bad value: '{secret}'", record(b"k", json.dumps({"field": secret}).encode()))
    assert shown == "bad value: '…'"
