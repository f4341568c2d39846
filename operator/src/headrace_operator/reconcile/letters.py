"""Which dead letters of a consumer are outstanding, and how many records wait in its retry topic: by reading them.

Offsets tell neither: markers of transactions, aborted records and compaction take offsets, too. Each record is read
once; what is kept of it is one byte. After a restart of the operator everything is read anew, and unknown until then.

Pure: what was read goes in, spans to read and counts come out. A dead letter is outstanding until the resolutions topic
has a record whose key names it (`headrace.resolutions`), as for ``headrace dlq list``; a tombstone takes it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product

from headrace import resolutions as keys
from headrace_operator.observed.kafka import LogSeen, Partition, RecordSeen, Span, TopicSeen

AHEAD = 10_000
"""Offsets past the known end that a resolution may name: its dead letter may be seen a moment later than it."""

RECORD, RESOLVED, RESOLVED_UNNAMED = 1, 2, 4
"""Flags of an offset; the last is set by a resolution that names no topic."""

ALL = 8
"""Values that the flags of an offset may have together."""


@dataclass
class Marks:
    """What lies at each offset of a partition from ``base`` on, one byte each; ``next`` is the next one to read."""

    base: int = 0
    next: int = 0
    flags: bytearray = field(default_factory=bytearray)

    def fit(self, span: Span) -> None:
        """Forget what lies before ``span``; begin anew when it ends before what was read or begins before `base`."""
        if span.start < self.base or span.end < self.next:
            self.base, self.next, self.flags = span.start, span.start, bytearray()
        del self.flags[: span.start - self.base]
        self.base, self.next = span.start, max(self.next, span.start)

    def mark(self, offset: int, flag: int, *, on: bool = True) -> None:
        """Set ``flag`` at ``offset``, or take it away; what lies before `base` is gone."""
        at = offset - self.base
        if at < 0:
            return
        self.flags.extend(bytes(max(0, at + 1 - len(self.flags))))
        self.flags[at] = self.flags[at] | flag if on else self.flags[at] & ~flag


@dataclass
class Letters:
    """What was read of the retry, dead-letter and resolutions topics of one consumer.

    ``made_anew`` says that a resolution names a dead-letter topic that is not there any more.
    """

    topics: tuple[str, ...] = ()
    whole: bool = False
    made_anew: bool = False
    _marks: dict[Partition, Marks] = field(default_factory=dict)
    _ends: Mapping[Partition, Span] = field(default_factory=dict)

    def begin(self, topics: tuple[str, ...], spans: Mapping[Partition, Span]) -> None:
        """Look at ``spans`` of the topics with these ids: where one was made anew, nothing is known any more."""
        if topics != self.topics:
            self.topics, self.whole, self.made_anew, self._marks = topics, False, False, {}
        self._ends = spans
        for at, span in spans.items():
            self._marks.setdefault(at, Marks()).fit(span)

    def unread(self) -> Mapping[Partition, Span]:
        """Return what was not read yet."""
        return {
            at: Span(start=self._marks[at].next, end=span.end)
            for at, span in self._ends.items()
            if self._marks[at].next < span.end
        }

    def take(self, seen: LogSeen, letters: TopicSeen, resolutions: str) -> None:
        """Note what was read; ``letters`` is the dead-letter topic, ``resolutions`` the name of the other one."""
        for record in seen.records:
            if record.topic == resolutions:
                self._resolve(record, letters)
            else:
                self._marks[record.topic, record.partition].mark(record.offset, RECORD)
        for at, offset in seen.reached.items():
            self._marks[at].next = offset

    def count(self, letters: str) -> tuple[int, int] | None:
        """Return how many dead letters there are and how many are outstanding; None before the first whole read."""
        self.whole = self.whole or not self.unread()
        if not self.whole:
            return None
        flags = [marks.flags for (topic, _), marks in self._marks.items() if topic == letters]
        resolved = RESOLVED if self.made_anew else RESOLVED | RESOLVED_UNNAMED
        letter = [value for value in range(ALL) if value & RECORD]
        return _count(flags, letter), _count(flags, [value for value in letter if not value & resolved])

    def waiting(self, at: Partition) -> int | None:
        """Return how many records lie in the span of a partition; None while it is not wholly read."""
        marks, span = self._marks.get(at), self._ends.get(at)
        if marks is None or span is None or marks.next < span.end:
            return None
        return marks.flags.count(RECORD)

    def _resolve(self, record: RecordSeen, letters: TopicSeen) -> None:
        key = keys.decode(record.key)
        if key is None:
            return
        if key.topic not in {letters.id, keys.NO_ID}:
            self.made_anew = self.made_anew or not record.empty
            return
        at, flag = (letters.name, key.partition), RESOLVED if key.topic else RESOLVED_UNNAMED
        if at in self._ends and key.offset < self._ends[at].end + AHEAD:
            self._marks[at].mark(key.offset, flag, on=not record.empty)


def _count(flags: Iterable[bytearray], values: Iterable[int]) -> int:
    return sum(one.count(value) for one, value in product(flags, values))
