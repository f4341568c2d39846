"""Counting dead letters from what was read of their topics; and what the counts survive."""

from __future__ import annotations

import sys

import pytest

from headrace_operator.observed.kafka import LogSeen, RecordSeen, Span, TopicSeen
from headrace_operator.reconcile.letters import Letters

DEAD, RESOLVED, RETRY = "dlq.shop.billing", "dlq.shop.billing.resolutions", "retry.shop.billing"
IDS = ("r", "d" * 22, "s")
TOPIC = TopicSeen(name=DEAD, partitions=1, id=IDS[1])

Offsets = dict[tuple[str, int], Span]


def spans(dead: int, resolved: int, *, start: int = 0) -> Offsets:
    """Return one partition of each topic."""
    return {(DEAD, 0): Span(start=start, end=dead), (RESOLVED, 0): Span(start=0, end=resolved)}


def letter(offset: int) -> RecordSeen:
    return RecordSeen(topic=DEAD, partition=0, offset=offset, key=b"k", empty=False)


def resolution(offset: int, key: bytes, *, empty: bool = False) -> RecordSeen:
    return RecordSeen(topic=RESOLVED, partition=0, offset=offset, key=key, empty=empty)


def read(letters: Letters, now: Offsets, *records: RecordSeen, ids: tuple[str, ...] = IDS) -> tuple[int, int] | None:
    """Read everything new of ``now``, which holds ``records``."""
    letters.begin(ids, now)
    unread = letters.unread()
    new = tuple(
        one for one in records if one.offset >= unread.get((one.topic, 0), Span(start=sys.maxsize, end=0)).start
    )
    letters.take(
        LogSeen(records=new, reached={at: span.end for at, span in unread.items()}),
        TopicSeen(name=DEAD, partitions=1, id=ids[1]),
        RESOLVED,
    )
    return letters.count(DEAD)


def test_nothing_is_known_before_everything_was_read_once() -> None:
    """A first read that ends early gives no count; later ones give what was read so far."""
    letters = Letters()
    letters.begin(IDS, spans(4, 0))
    letters.take(LogSeen(records=(letter(0), letter(1)), reached={(DEAD, 0): 2}), TOPIC, RESOLVED)
    assert letters.count(DEAD) is None
    assert letters.unread() == {(DEAD, 0): Span(start=2, end=4)}

    assert read(letters, spans(4, 0), letter(2), letter(3)) == (4, 4)
    letters.begin(IDS, spans(9, 0))
    assert letters.count(DEAD) == (4, 4)


def test_markers_and_repeated_resolutions_hide_nothing() -> None:
    """Offsets without a record, a key that comes twice, and foreign keys: only letters without a resolution count."""
    letters = Letters()
    records = (letter(0), letter(2), letter(5))
    twice = (resolution(0, b"0/2"), resolution(2, b"0/2"), resolution(4, b"nonsense"), resolution(5, b"7/0"))

    assert read(letters, spans(6, 6), *records, *twice) == (3, 2)
    assert read(letters, spans(7, 7), letter(6)) == (4, 3)
    assert read(letters, spans(7, 8), resolution(7, b"0/2", empty=True)) == (4, 4)


def test_a_resolution_may_be_read_before_its_letter_but_a_foreign_one_takes_no_memory() -> None:
    """The two topics are not read at one moment."""
    letters = Letters()
    assert read(letters, spans(1, 2), letter(0), resolution(0, b"0/1"), resolution(1, b"0/999999999999999")) == (1, 1)
    assert sum(len(marks.flags) for marks in letters._marks.values()) < 10

    assert read(letters, spans(2, 2), letter(1)) == (2, 1)


def test_letters_that_were_deleted_from_the_topic_count_no_more() -> None:
    """Retention moves the start of the partition."""
    letters = Letters()
    assert read(letters, spans(3, 1), letter(0), letter(1), letter(2), resolution(0, b"0/0")) == (3, 2)

    assert read(letters, spans(3, 1, start=2)) == (1, 1)
    assert read(letters, spans(5, 1, start=5)) == (0, 0)


@pytest.mark.case("delivery-11")
def test_resolutions_count_for_the_topic_that_they_name_only() -> None:
    """Those that name none count until one names a topic that is not there; a tombstone tells of none."""
    letters = Letters()
    named, other = IDS[1].encode(), b"o" * 22
    records = (letter(0), letter(1), letter(2), letter(3))
    old = (resolution(0, b"0/0"), resolution(1, named + b"/0/1"), resolution(2, b"0/1"))

    assert read(letters, spans(4, 3), *records, *old) == (4, 2)
    assert read(letters, spans(4, 4), resolution(3, other + b"/0/3", empty=True)) == (4, 2)
    assert read(letters, spans(4, 5), resolution(4, other + b"/0/3")) == (4, 3)
    assert read(letters, spans(4, 6), resolution(5, named + b"/0/0")) == (4, 2)
    assert read(letters, spans(4, 7), resolution(6, named + b"/0/1", empty=True)) == (4, 3)


@pytest.mark.parametrize("ids", [IDS, ("r", "new", "s")])
def test_a_topic_that_was_made_anew_is_read_anew(ids: tuple[str, ...]) -> None:
    """It is known by its id, or by its end when that lies before what was read."""
    letters = Letters()
    assert read(letters, spans(3, 1), letter(0), letter(1), letter(2), resolution(0, b"0/0")) == (3, 2)

    assert read(letters, spans(1, 0), letter(0), ids=ids) == (1, 1)


def test_records_that_wait_are_counted_from_where_the_group_is() -> None:
    """Markers do not wait; a group that is set back waits for what it handled already."""
    letters, at = Letters(), (RETRY, 0)
    log = {0, 2, 4}

    def waiting(committed: int, end: int) -> int | None:
        letters.begin(IDS, {at: Span(start=committed, end=end)})
        for span in letters.unread().values():
            records = tuple(
                RecordSeen(topic=RETRY, partition=0, offset=offset, key=b"k", empty=False)
                for offset in sorted(log)
                if span.start <= offset < span.end
            )
            letters.take(LogSeen(records=records, reached={at: span.end}), TOPIC, RESOLVED)
        return letters.waiting(at)

    assert waiting(0, 4) == 2
    assert waiting(3, 4) == 0
    assert waiting(3, 6) == 1
    assert waiting(1, 6) == 2
