"""Which offsets beyond a committed one are done, and which were tried in vain, as text for the commit's metadata.

The idea is that of Confluent's Parallel Consumer: done offsets as run lengths or as a bitmap, whichever is shorter,
then zlib where it helps, then base64. A map is a claim about one log. So it says the offset that it begins at, the
timestamp of the record there, and the epoch of the leader that wrote the last record it speaks of: after a truncation,
or in a topic made anew, one of the three differs, and the map says nothing. Pure.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import NamedTuple

Range = tuple[int, int]
"""Offsets from the first (included) to the second (excluded)."""

UNKNOWN = -1
"""A timestamp or a leader epoch that Kafka does not say."""

LARGEST = 1 << 20
"""Bytes that a map may have unpacked; ours have far less."""

MOST = 1 << 63
PLAIN, PACKED = b"\0", b"\1"


def stamp(timestamp: int | None) -> int:
    """Return a record's timestamp, in milliseconds, as a map can say it: producers may write any number there."""
    return timestamp if timestamp is not None and 0 <= timestamp < MOST - 1 else UNKNOWN


class Tried(NamedTuple):
    """Of an unfinished record: its next attempt's number (from 1), and how often it was there when the process ended.

    It is ``due`` then, and has failed ``since`` then, in seconds since 1970; 0 is not known. ``worker_crashes``: how
    often it ended a worker process, in which nothing else ran.
    """

    attempt: int
    crashes: int = 0
    due: int = 0
    since: int = 0
    worker_crashes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class OffsetMap:
    """What is known of a partition from offset ``at`` on; ``done`` in order, apart, and not empty, ``tried`` in order.

    ``stamp`` is the timestamp (in milliseconds) of the record at ``at``, ``epoch`` that of the leader which wrote the
    last record that the map speaks of; both may be `UNKNOWN`.
    """

    at: int
    stamp: int = UNKNOWN
    epoch: int = UNKNOWN
    done: tuple[Range, ...] = ()
    tried: Mapping[int, Tried] = field(default_factory=dict)

    def has_done(self, offset: int) -> bool:
        """Whether the record at ``offset`` is done."""
        at = bisect_right(self.done, offset, key=itemgetter(0)) - 1
        return at >= 0 and offset < self.done[at][1]

    @property
    def end(self) -> int:
        """The offset after all that the map speaks of."""
        return max(self.done[-1][1] if self.done else 0, max(self.tried, default=-1) + 1)


def encode(known: OffsetMap, room: int) -> str:
    """Return the map as at most ``room`` characters, empty when there is nothing to say.

    What does not fit is left out: first when records are due and since when they fail; then attempts, the most first
    kept; then the farthest offsets that are done, which come again. Counted crashes go last.
    """
    for less in _ever_less(known):
        if not less.done and not less.tried:
            return ""
        text = _text(less)
        if len(text) <= room:
            return text
    return ""


def least(known: OffsetMap) -> int:
    """Return how many characters the map takes without times."""
    return len(_text(_undated(known))) if known.done or known.tried else 0


def decode(text: str) -> OffsetMap | None:
    """Return the map that `encode` wrote; None for anything else."""
    try:
        return _read(_unpacked(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)))
    except (ValueError, IndexError, zlib.error, binascii.Error):
        return None


def _ever_less(known: OffsetMap) -> Iterator[OffsetMap]:
    yield known
    yield _undated(known)
    tried: Mapping[int, Tried] = _undated(known).tried
    while any(not _crashes(one) for one in tried.values()):
        tried = _half(tried)
        yield replace(known, tried=tried)
    done = known.done
    while done:
        done = done[: len(done) // 2]
        yield replace(known, tried=tried, done=done)
    while tried:
        tried = _half(tried)
        yield replace(known, tried=tried, done=())


def _undated(known: OffsetMap) -> OffsetMap:
    return replace(known, tried={offset: one._replace(due=0, since=0) for offset, one in known.tried.items()})


def _half(tried: Mapping[int, Tried]) -> dict[int, Tried]:
    """Return the half that was tried most."""
    ranked = sorted(tried, key=lambda offset: (_crashes(tried[offset]), tried[offset].attempt), reverse=True)
    return {offset: tried[offset] for offset in sorted(ranked[: len(ranked) // 2])}


def _crashes(one: Tried) -> int:
    return one.crashes + one.worker_crashes


def _text(known: OffsetMap) -> str:
    plain = b"".join((_numbers(known.at, known.stamp + 1, known.epoch + 1), _done(known), _tried(known)))
    packed = zlib.compress(plain, 9)
    shorter = PACKED + packed if len(packed) < len(plain) else PLAIN + plain
    return base64.urlsafe_b64encode(shorter).rstrip(b"=").decode()


def _unpacked(data: bytes) -> bytes:
    if data[:1] == PLAIN:
        return data[1:]
    if data[:1] != PACKED:
        raise ValueError("neither packed nor plain")
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(data[1:], LARGEST)
    if not unpacking.eof:
        raise ValueError("cut, or far too long")
    return plain


def _read(data: bytes) -> OffsetMap:
    numbers = _Numbers(data)
    at, stamp, epoch = numbers.take(), numbers.take() - 1, numbers.take() - 1
    done = _read_done(numbers, at)
    tried = _read_tried(numbers, done, at)
    if numbers.left:
        raise ValueError("more than a map")
    return OffsetMap(at=at, stamp=stamp, epoch=epoch, done=done, tried=tried)


def _done(known: OffsetMap) -> bytes:
    """Run lengths, of what is not done and what is in turn, after their number; or 0, and a bitmap after its length."""
    bounds = [known.at, *(bound for one in known.done for bound in one)]
    runs = _numbers(len(known.done), *(after - before for before, after in pairwise(bounds)))
    size = (bounds[-1] - known.at + 7) // 8
    if size and size + 3 < len(runs):
        return _numbers(0, size) + _bitmap(known, size)
    return runs if known.done else _numbers(0, 0)


def _bitmap(known: OffsetMap, size: int) -> bytes:
    bits = 0
    for start, stop in known.done:
        bits |= ((1 << (stop - start)) - 1) << (start - known.at)
    return bits.to_bytes(size, "little")


def _read_done(numbers: _Numbers, at: int) -> tuple[Range, ...]:
    count = numbers.take()
    if not count:
        return _ranges(numbers.take_bytes(numbers.take()), at)
    done: list[Range] = []
    for _ in range(count):
        start = at + numbers.take()
        at = start + numbers.take()
        if at == start or (done and done[-1][1] == start):
            raise ValueError("a run of nothing")
        done.append((start, at))
    return tuple(done)


def _ranges(bitmap: bytes, at: int) -> tuple[Range, ...]:
    """Return the runs of ones in a bitmap whose first bit is that of offset ``at``."""
    flags = "".join(f"{byte:08b}"[::-1] for byte in bitmap)
    done: list[Range] = []
    stop = 0
    while (start := flags.find("1", stop)) >= 0:
        stop = flags.find("0", start)
        stop = len(flags) if stop < 0 else stop
        done.append((at + start, at + stop))
    return tuple(done)


def _tried(known: OffsetMap) -> bytes:
    """Column by column, so that equal values lie beside each other: places, attempts, crashes, times.

    A place is that among the unfinished offsets, as a step from the one before. Crashes of workers come last, where
    there are any.
    """
    values = known.tried.values()
    first = min((time for one in values for time in (one.due, one.since) if time), default=0)
    workers = [one.worker_crashes for one in values]
    return _numbers(
        len(values),
        first,
        *(after - before for before, after in pairwise([0, *_places(known)])),
        *(one.attempt for one in values),
        *(one.crashes for one in values),
        *(one.due - first + 1 if one.due else 0 for one in values),
        *(one.since - first + 1 if one.since else 0 for one in values),
        *(workers if any(workers) else ()),
    )


def _places(known: OffsetMap) -> Iterator[int]:
    """Return how many unfinished offsets lie before each record that was tried."""
    ranges, done = deque(known.done), 0
    for offset in known.tried:
        while ranges and ranges[0][0] < offset:
            start, stop = ranges.popleft()
            done += stop - start
        yield offset - known.at - done


def _offsets(places: Iterable[int], done: tuple[Range, ...], at: int) -> Iterator[int]:
    """Return the offsets at these places among the unfinished ones; the reverse of `_places`."""
    ranges, offset = deque(done), at
    for place in places:
        while ranges and ranges[0][0] <= offset + place:
            start, stop = ranges.popleft()
            offset += stop - start
        yield offset + place


def _read_tried(numbers: _Numbers, done: tuple[Range, ...], at: int) -> dict[int, Tried]:
    count, first = numbers.take(), numbers.take()
    steps, attempts, crashes, *times = ([numbers.take() for _ in range(count)] for _ in range(5))
    if not all(attempts) or not all(steps[1:]):
        raise ValueError("an attempt before the first, or a record twice")
    due, since = ([first + one - 1 if one else 0 for one in column] for column in times)
    workers = [numbers.take() for _ in range(count)] if numbers.left else [0] * count
    offsets = _offsets(accumulate(steps), done, at)
    said = zip(attempts, crashes, due, since, workers, strict=True)
    return {offset: Tried(*one) for offset, one in zip(offsets, said, strict=True)}


def _numbers(*numbers: int) -> bytes:
    """Return numbers from 0 on, each in as many groups of seven bits as it takes (LEB128)."""
    data = bytearray()
    for number in numbers:
        left = number
        while left > 0x7F:
            data.append(left & 0x7F | 0x80)
            left >>= 7
        data.append(left)
    return bytes(data)


class _Numbers:
    """What `_numbers` wrote, read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self) -> int:
        number = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if number >= MOST:
                raise ValueError("no offset, time or count is so large")
            if byte < 0x80:
                return number
            shift += 7

    def take_bytes(self, size: int) -> bytes:
        if size > self.left:
            raise ValueError("cut")
        self._at += size
        return self._data[self._at - size : self._at]
