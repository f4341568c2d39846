"""What is read at once, and what is written together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.outbox import Backoff
from headrace.relay.batches import MOST_BYTES, fitting, together
from headrace.relay.holds import LOOK_AGAIN, MOST_LANES, MOST_ROUTES, Holds, wait
from headrace.relay.messages import Record, Row


def _row(id: int, *, failures: int = 0, size: int = 2) -> Row:
    record = Record(topic="t", key=None, value=b"x" * size, headers=())
    return Row(id=id, failures=failures, lane=str(id), route="t", record=record)


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_row_that_was_refused_is_written_alone_and_in_its_place(refused: list[bool]) -> None:
    rows = [_row(number, failures=int(one)) for number, one in enumerate(refused)]
    written: list[Row] = []
    while len(written) < len(rows):
        part = together(rows[len(written) :], set())
        assert part
        assert len(part) == 1 or not any(row.failures for row in part)
        written += part

    assert written == rows


def test_a_suspect_is_alone_though_it_has_not_failed_yet() -> None:
    rows = [_row(1), _row(2), _row(3)]

    assert together(rows, {2}) == rows[:1]
    assert together(rows[1:], {2}) == rows[1:2]


def test_as_many_rows_are_read_as_fit() -> None:
    """Of rows that do not fit at all, one."""
    assert fitting([]) == 0
    assert fitting([0, 2, 3]) == 3
    assert fitting([MOST_BYTES + 1, 1]) == 1
    assert fitting([MOST_BYTES // 4] * 8) == 4
    assert fitting([1, MOST_BYTES, 1]) == 1


def test_a_key_waits_until_it_is_due_and_then_is_forgotten() -> None:
    holds = Holds()
    holds.hold_lane("a", 5.0)

    assert holds.lanes(4.9) == ["a"]
    assert holds.lanes(5.0) == []


def test_so_many_keys_and_topics_wait_and_no_more() -> None:
    holds = Holds()
    for number in range(MOST_LANES):
        assert not holds.is_full
        holds.hold_lane(str(number), 1.0)
    routes = [holds.hold_route(str(number), "missing", 0.0) for number in range(MOST_ROUTES + 1)]

    assert holds.is_full
    assert routes == [True] * MOST_ROUTES + [False]
    assert holds.hold_route("0", "still missing", LOOK_AGAIN)
    assert "0" not in holds.due_routes(LOOK_AGAIN)
    assert len(holds.due_routes(LOOK_AGAIN)) == MOST_ROUTES - 1


def test_waits_double_up_to_the_longest() -> None:
    assert [wait(Backoff(initial=1, max=5), count) for count in (1, 2, 3, 4, 5000)] == [1, 2, 4, 5, 5]
