"""An offset map is read as it was written, fits where it must, and nonsense is no map."""

from __future__ import annotations

import base64
import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from headrace.flow.offset_map import UNKNOWN, OffsetMap, Range, Tried, decode, encode, least, stamp

FEW = 4_000
TIMES = some.just(0) | some.integers(10**9, 2 * 10**9)


@some.composite
def maps(draw: some.DrawFn) -> OffsetMap:
    """Maps of what can happen: runs of done offsets, and some of the others tried."""
    at = draw(some.integers(0, 10**15))
    lengths = draw(some.lists(some.tuples(some.integers(1, 9), some.integers(1, 40_000)), max_size=60))
    done: list[Range] = []
    unfinished: list[int] = []
    after = at
    for gap, length in lengths:
        unfinished += range(after, after + gap)
        done.append((after + gap, after + gap + length))
        after += gap + length
    unfinished += range(after, after + 5)
    chosen = sorted(draw(some.sets(some.sampled_from(unfinished), max_size=40)))
    tried = some.builds(Tried, some.integers(1, 50), some.integers(0, 5), TIMES, TIMES, some.integers(0, 3))
    return OffsetMap(
        at=at,
        stamp=draw(some.just(UNKNOWN) | some.integers(0, 10**13)),
        epoch=draw(some.integers(UNKNOWN, 1000)),
        done=tuple(done),
        tried={offset: draw(tried) for offset in chosen},
    )


@given(some.none() | some.integers(-(2**63), 2**63 - 1))
def test_any_timestamp_can_be_told(timestamp: int | None) -> None:
    known = OffsetMap(at=0, stamp=stamp(timestamp), done=((1, 2),))
    assert decode(encode(known, FEW)) == known


@given(maps())
def test_what_is_written_is_read(known: OffsetMap) -> None:
    text = encode(known, 100_000)
    assert text.isascii()
    assert not set(text) & set("\0 =")
    assert decode(text) == (known if known.done or known.tried else None)


@given(maps(), some.integers(0, 300))
def test_what_does_not_fit_is_left_out_and_nothing_is_invented(known: OffsetMap, room: int) -> None:
    text = encode(known, room)
    assert len(text) <= room
    less = decode(text) or OffsetMap(at=known.at)
    assert less.done == known.done[: len(less.done)]
    assert all(known.tried[offset]._replace(due=one.due, since=one.since) == one for offset, one in less.tried.items())
    assert all(one.due in (0, known.tried[offset].due) for offset, one in less.tried.items())


@pytest.mark.case("delivery-3")
def test_twenty_thousand_done_behind_two_keys_take_a_few_characters() -> None:
    assert len(encode(OffsetMap(at=0, stamp=1_764_316_800_000, done=((1, 9_000), (9_001, 20_000))), FEW)) < 40


def test_scattered_offsets_are_a_bitmap() -> None:
    """A bit for each offset, and a third more in base64, whatever the pattern is."""
    done = tuple((offset, offset + 1) for offset in range(1, 16_000, 2))
    assert len(encode(OffsetMap(at=0, done=done), FEW)) < 16_000 / 8 * 4 / 3 + 30


def test_records_in_back_off_fit_without_their_times() -> None:
    """Which is what is looked at to tell whether more may be read."""
    draw = random.Random(3)
    offsets = [0, *sorted(draw.sample(range(1, 20_000), 1_500))]
    tried = {offset: Tried(draw.randint(2, 8), 0, 1_764_316_800 + draw.randrange(600)) for offset in offsets}
    done = tuple((before + 1, after) for before, after in pairwise(offsets) if after > before + 1)
    known = OffsetMap(at=0, done=done, tried=tried)
    assert least(known) < FEW < len(encode(known, 100_000))
    less = decode(encode(known, FEW))
    assert less is not None
    assert less.done == done
    assert less.tried == {offset: one._replace(due=0, since=0) for offset, one in tried.items()}


def test_counted_crashes_go_last() -> None:
    tried = {offset: Tried(2, 2 if offset == 774 else 0) for offset in range(0, 9_000, 9)}
    known = OffsetMap(at=0, done=tuple((offset + 1, offset + 2 + offset % 5) for offset in tried), tried=tried)
    less = decode(encode(known, 300))
    assert less is not None
    assert less.tried[774] == Tried(2, 2)


@given(some.binary(max_size=200))
def test_no_bytes_are_an_error(data: bytes) -> None:
    for kind in (b"", b"\0", b"\1"):
        decode(base64.urlsafe_b64encode(kind + data).decode())
    decode(base64.urlsafe_b64encode(b"\1" + zlib.compress(data)).decode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\2",
        b"\0",
        b"\0" + b"\x80" * 2000,
        b"\0" + b"\xff" * 12 + b"\1",
        b"\0\0\0\0\1\1\0\0\0",
        b"\0\0\0\0\xff\xff\xff\xff\x7f\1\1",
        b"\0\0\0\0\0\x09\xff",
        b"\0\0\0\0\0\0\1\0\0\0\0\0",
        b"\0\0\0\0\0\0\0\0more",
        b"\1" + zlib.compress(bytes(1 << 24)),
        b"\1" + zlib.compress(b"\0\0\0\0\0\0\0")[:-3],
    ],
)
def test_what_is_no_map(data: bytes) -> None:
    assert decode(base64.urlsafe_b64encode(data).decode().rstrip("=")) is None


@pytest.mark.parametrize("text", ["é", "\0", "AA*A", "A", " "])
def test_what_is_no_base64(text: str) -> None:
    assert decode(text) is None
