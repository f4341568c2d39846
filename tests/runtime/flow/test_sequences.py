"""Which keys wait behind dead letters: what follows, what is a letter already, and when a key is live again."""

from __future__ import annotations

import pytest

from headrace import headers
from headrace.failure import Failure, Reason
from headrace.flow.parking import Mark
from headrace.flow.seen import Found, Known, Seen, known
from headrace.flow.sequences import Sequences, Written
from headrace.flow.waiting import Follower, Key, Listed
from headrace.record import Headers, Position, Record

SOURCE = ("orders", 0)
LANE = (*SOURCE, b"a")
SEEN = Seen(frozenset({SOURCE}), 7, {}, frozenset())


def record(offset: int = 4, **more: object) -> Record:
    about = {"topic": "orders", "partition": 0, "offset": offset, "key": b"a", "value": b"{}", "headers": ()}
    return Record(**{**about, "timestamp": 1_000, **more})  # type: ignore[arg-type]


def letter(reason: Reason, *, parks_key: str | None = None) -> Headers:
    failure = Failure(
        group="g",
        reason=reason,
        attempts=1,
        message="m",
        exception="e",
        first_failed_at=1,
        last_failed_at=1,
        parks_key=parks_key,
    )
    return headers.for_dead_letter(record(), failure)


def back(reason: Reason) -> Record:
    """The record of a letter with this reason, put back."""
    put = headers.for_redrive(letter(reason), redrive_id="r", now=1)
    return record(9, topic="retry", origin=Position("orders", 0, 4), headers=put)


def waiting(**found: object) -> Sequences:
    one = Sequences()
    one.begin(0, SEEN._replace(keys={LANE: Found(3, **found)}))  # type: ignore[arg-type]
    return one


def test_what_comes_from_the_source_follows_its_key_and_nothing_else_does() -> None:
    one = waiting(heads=frozenset({3}), oldest=Mark(3, 1_000))
    assert one.follows(LANE, record())
    assert not one.follows(LANE, record(2)), "older, it comes again"
    assert one.follows(LANE, record(2, timestamp=1_001)), "of a topic made anew"
    one.note(LANE, head=Mark(1, 1_000))
    assert one.follows(LANE, record(2)), "one before it failed"
    assert not one.follows((*SOURCE, b"b"), record(key=b"b"))
    assert not one.follows(LANE, back(Reason.MAX_ATTEMPTS)), "somebody put the head back"


def test_what_was_moved_back_waits_again_only_behind_another_head() -> None:
    one = waiting()
    assert not one.follows(LANE, back(Reason.KEY_PARKED))
    one.note(LANE, head=Mark(2, 1_000))
    assert one.follows(LANE, back(Reason.KEY_PARKED))
    one.free(LANE, 0)
    assert one.follows(LANE, back(Reason.KEY_PARKED)), "one more head was sent than was dealt with"
    one.free(LANE, 1)
    assert not one.follows(LANE, back(Reason.KEY_PARKED))


def test_a_key_is_live_only_when_all_its_letters_are_dealt_with() -> None:
    one = waiting()
    one.note(LANE, head=Mark(2, 1_000))
    one.note(LANE)
    assert not one.release(LANE, 1)
    assert one.written(LANE) == Written(2, 1)
    assert one.release(LANE, 2)
    assert LANE not in one
    assert not one.release(LANE, 2)


@pytest.mark.parametrize("lane", [(*SOURCE, 5), (*SOURCE, None), ("others", 0, b"a"), ("orders", 1, b"a")])
def test_no_other_lane_can_wait(lane: tuple[str, int, bytes | int | None]) -> None:
    one = waiting()
    assert one.may_wait(LANE)
    assert not one.may_wait(lane)


def test_a_delivery_of_which_there_is_a_letter_is_known_once() -> None:
    one = Sequences()
    again = Known(LANE, Mark(4, 1_000), None)
    one.begin(0, SEEN._replace(letters=frozenset({again})))
    assert known(LANE, headers.decode(letter(Reason.KEY_PARKED))) == again
    assert not one.is_letter(LANE, record(5))
    assert not one.is_letter(LANE, back(Reason.MAX_ATTEMPTS)), "the same record, put back"
    assert one.is_letter(LANE, record())
    assert not one.is_letter(LANE, record())


def test_who_gives_partitions_away_forgets_them() -> None:
    one = waiting()
    one.forget([1])
    assert LANE in one
    one.forget([0])
    assert LANE not in one
    assert not one.keeps(SOURCE)


def test_its_headers_say_which_letter_keys_wait_behind() -> None:
    assert headers.decode(letter(Reason.MAX_ATTEMPTS, parks_key="9f")).parks_key == "9f"
    assert headers.decode(letter(Reason.MAX_ATTEMPTS)).parks_key is None
    assert headers.decode(letter(Reason.KEY_PARKED)).follows


def followers(*offsets: int) -> list[Follower]:
    return [Follower(Mark(offset, 0), 100 + offset) for offset in offsets]


def test_what_is_behind_a_letter_on_its_way_is_moved_later() -> None:
    """It is written again after others, as Kafka did not answer: they must not go before it."""
    key = Key(3)
    for offset in (5, 6, 7):
        key.send(offset, is_head=False)
    key.wrote(5, None)
    key.wrote(7, None)
    wish = key.wish()
    key.list(wish, Listed(frozenset(), followers(5, 7), 20), 0)
    assert [one.mark.offset for one in key.listed] == [5]
    assert key.must_list
    assert key.start is None


def test_what_is_listed_as_another_head_fails_says_nothing() -> None:
    key = Key(3)
    wish = key.wish()
    key.send(8, is_head=True)
    key.list(wish, Listed(frozenset(), followers(5), 20), 0)
    assert not key.listed
    assert key.must_list


def test_both_letters_of_a_record_go_together() -> None:
    key = Key(3)
    key.list(key.wish(), Listed(frozenset(), followers(5, 6, 6, 7), 20), 0)
    assert len(key.chunk(2).followers) == 3
    assert len(key.chunk(1).followers) == 1


def test_a_key_is_closed_when_no_letter_of_it_is_on_its_way() -> None:
    key = Key(3)
    key.closed = 1
    key.send(5, is_head=False)
    assert not key.is_closed
    key.wrote(5, None)
    assert key.is_closed
    key.send(6, is_head=False)
    assert not key.is_closed
