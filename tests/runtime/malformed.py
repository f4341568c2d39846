"""Records as nobody should write them, made from a seed: the same ones in each run."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cached_property

from headrace.record import Headers
from tests.raw_producer import RawHeaders
from tests.runtime.test_headers import OURS

LARGE = 900_000
"""Bytes of the largest value; a few records have one."""

NAMES = tuple(
    name.encode() for name in (*OURS, "id", "ce_id", "ce_type", "correlation-id", "traceparent", "content-type")
)
PIECES = (
    *(
        b"",
        b"\x00",
        b"\xff\xfe",
        b"\r\n",
        b"\x1b[2J",
        b"9" * 5000,
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"{}",
        b"[" * 2000,
    ),
    *(b'{"op":"c","before":null,"after":', b'{"schema":{"type":"struct"},"payload":', b'"op":"\\ud800"', b'{"op":5}'),
    *("²é\u202e\U0001f600".encode(), b"\xed\xa0\x80", b"\xef\xbb\xbf{}", b"2024-99-99T25:61:61Z", b"a" * 300, b"/0@5"),
)
TIMES = (0, 1, -2, -(2**63), 2**63 - 1, 253_402_300_800_000, 1_700_000_000_000)
"""Milliseconds since 1970, of which the first is now."""


@dataclass(frozen=True)
class Malformed:
    """One record; ``key`` ends in a mark of its own where it is written into the retry topic."""

    key: bytes | None
    value: bytes | None
    written: RawHeaders
    timestamp: int

    @cached_property
    def headers(self) -> Headers | None:
        """The headers as Kafka's client gives them: a name ends at a NUL; None where one is not UTF-8."""
        try:
            return tuple((name.partition(b"\x00")[0].decode(), value) for name, value in self.written)
        except UnicodeDecodeError:
            return None


def some(seed: int, count: int, mark: bytes = b"") -> list[Malformed]:
    """Return ``count`` records; with ``mark`` each has a key that ends in it and its number."""
    chance = random.Random(seed)
    return [_one(chance, b"" if not mark else mark + b"%d" % number) for number in range(count)]


def _one(chance: random.Random, mark: bytes) -> Malformed:
    key = chance.choice((None, b"", _bytes(chance), b"k%d" % chance.randrange(200)))
    return Malformed(
        key=(key or b"") + mark if mark else key,
        value=_value(chance),
        written=(
            *(_claimed(chance) if mark else ()),
            *((_name(chance), _content(chance)) for _ in range(chance.choice((0, 1, 2, 5)))),
        ),
        timestamp=chance.choice((0, 0, *TIMES)),
    )


def _claimed(chance: random.Random) -> RawHeaders:
    """Return where a record in the retry topic says that it first was, which may be nowhere, and its attempts."""
    said = {
        "__dlq.errors.topic": (b"shop.orders", b"a b", b"", b"t" * 249),
        "__dlq.errors.partition": (b"0", b"3", b"99", b"2147483647", b"2147483648", b"-1"),
        "__dlq.errors.offset": (b"0", b"9223372036854775807", b"9" * 5000, b"x"),
        "headrace.attempts": (b"0", b"1", b"2147483647", b"-1"),
    }
    return tuple((name.encode(), chance.choice(values)) for name, values in said.items())


def _value(chance: random.Random) -> bytes | None:
    match chance.randrange(500):
        case 0:
            return chance.randbytes(LARGE)
        case 1:
            return b"[" * (LARGE // 4)
        case number if number < 100:
            return None if number < 50 else b""
        case number if number < 250:
            return _envelope(chance)
        case _:
            return _bytes(chance)


def _envelope(chance: random.Random) -> bytes:
    """Return a change event with fields that are missing, of other types, or cut off."""
    odd: tuple[object, ...] = (None, 5, -1, "", "\u0000", [], {}, 10**40, 1e308, True)
    row = {name: chance.choice(odd) for name in chance.sample(("id", "amount", "", "op", "\u202e"), 3)}
    names = ("before", "after", "source", "op", "ts_ms", "transaction")
    event = {name: chance.choice((*odd, row)) for name in names if chance.random() < 0.8}
    text = json.dumps(event).encode()
    return text[: chance.choice((len(text), chance.randrange(1, len(text) + 1)))]


def _bytes(chance: random.Random) -> bytes:
    parts = chance.choices(PIECES, k=chance.randrange(4))
    return b"".join((*parts, chance.randbytes(chance.choice((0, 1, 40)))))


def _name(chance: random.Random) -> bytes:
    return chance.choice(NAMES) if chance.random() < 0.7 else chance.choice((_bytes(chance)[:3000], b"x", b"na\xffme"))


def _content(chance: random.Random) -> bytes | None:
    if chance.random() < 0.02:
        return chance.randbytes(20_000)
    return chance.choice((None, b"", _bytes(chance), chance.randrange(-(2**31), 2**31).to_bytes(8, "big", signed=True)))
