"""What is known of one key that waits behind its dead letters, for the thread that sees to it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from headrace.flow.parking import Mark
from headrace.flow.seen import Found
from headrace.flow.sequences import Written


class Follower(NamedTuple):
    """A record that waits: where it is in its source's log, and the offset of its letter."""

    mark: Mark
    letter: int


class Listed(NamedTuple):
    """The outstanding letters of a key up to ``end``: the offsets of its heads, and its followers, in their order."""

    heads: frozenset[int]
    followers: list[Follower]
    end: int


class Wish(NamedTuple):
    """To list the letters of ``key`` from ``start`` on.

    When so many ``heads`` were sent, and letters were under way of records from offset ``until`` on, None for none.
    """

    key: Key
    start: int
    until: int | None
    heads: int


class Chunk(NamedTuple):
    """The first of the followers that are listed of ``key``."""

    key: Key
    followers: Sequence[Follower]


class Key:
    """A key that waits; its letters lie from ``first`` on.

    ``heads`` are the offsets of those that failed and have no resolution. What was ``sent`` is not all written: not
    what is ``under_way``, of records at these offsets. ``must_list``: letters from ``start`` on, or ``first``, may be
    outstanding that are not ``listed``, in the order of their records. Up to ``end`` the retry topic is read before
    anything is done, and up to ``until`` the source, or to its end where its log is another one by now. ``idle``:
    nothing of it was in memory when so many heads were sent. ``closed``: no more than so many letters are sent; -1 as
    long as that is asked.
    """

    __slots__ = (
        "closed",
        "end",
        "first",
        "heads",
        "idle",
        "listed",
        "must_list",
        "sent",
        "start",
        "under_way",
        "until",
    )

    def __init__(self, first: int, found: Found | None = None) -> None:
        self.first = first
        self.start: int | None = None
        self.heads = set(found.heads) if found else set[int]()
        self.must_list = found is not None and found.follows
        self.end = (found.end if found else None) or 0
        self.until = found.until if found else 0
        self.listed: deque[Follower] = deque()
        self.sent = Written()
        self.under_way: set[int] = set()
        self.idle: int | None = None
        self.closed: int | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is in memory, and nothing failed since that was answered."""
        return self.idle == self.sent.heads

    @property
    def is_closed(self) -> bool:
        """Whether all its letters are written, and no more come."""
        return self.closed == self.sent.letters and not self.under_way

    @property
    def is_ready(self) -> bool:
        """Whether its followers may be looked for, and moved back."""
        return self.is_idle if self.closed is None else self.is_closed

    def send(self, offset: int, *, is_head: bool) -> None:
        """Note that the letter of the record at ``offset`` of the source is given to the producer."""
        self.sent = Written(self.sent.letters + 1, self.sent.heads + is_head)
        self.under_way.add(offset)
        if is_head:
            self.begin_anew()

    def wrote(self, offset: int, head: int | None) -> None:
        """Note that it is written, at ``head`` if it is one; 0 is not known, as Kafka does not always say so."""
        self.under_way.discard(offset)
        self.must_list = True
        if head:
            self.heads.add(head)

    def begin_anew(self) -> None:
        """Note that nothing is known of its outstanding letters but its heads, and where they begin."""
        self.must_list, self.listed, self.start, self.closed = True, deque(), None, None

    def wish(self) -> Wish:
        """Have its letters listed: what is written from now on is not in it."""
        self.must_list = False
        start = self.first if self.start is None else self.start
        return Wish(self, start, min(self.under_way, default=None), self.sent.heads)

    def list(self, wish: Wish, found: Listed, end: int) -> None:
        """Learn what is outstanding, as the retry topic ended at ``end``; nothing if another head failed meanwhile.

        What lies behind a record whose letter was under way is left for the next time.
        """
        if wish.key is not self or wish.heads != self.sent.heads:
            return
        known = [one for one in found.followers if wish.until is None or one.mark.offset < wish.until]
        self.heads |= found.heads
        self.listed = deque(known)
        if len(known) == len(found.followers):
            self.start = found.end
        else:
            self.must_list = True
        self._await(end)

    def chunk(self, most: int) -> Chunk:
        """Return that many of the first followers; one that has two letters with both."""
        count = min(most, len(self.listed))
        while 0 < count < len(self.listed) and self.listed[count].mark == self.listed[count - 1].mark:
            count += 1
        return Chunk(self, [self.listed[n] for n in range(count)])

    def moved(self, chunk: Chunk, end: int) -> None:
        """Note that followers were moved back, as the retry topic ended at ``end``."""
        if chunk.key is self:
            for _ in range(min(len(chunk.followers), len(self.listed))):
                self.listed.popleft()
            self._await(end)

    def resolve(self, letters: Collection[int], end: int) -> None:
        """Note that these letters have a resolution, as the retry topic ended at ``end``."""
        if not self.heads.isdisjoint(letters):
            self.heads.difference_update(letters)
            self._await(end)

    def _await(self, end: int) -> None:
        """Have what was put back read, and handled unless it is closed, before anything else is done."""
        self.end, self.idle = max(self.end, end), None
