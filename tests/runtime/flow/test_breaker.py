"""When a target is taken for away, what it is asked meanwhile, and how it is let in again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.flow.breaker import CALM, HALF, KEYS, LONGEST_REST, REST, STREAK, Breaker
from headrace.flow.lanes import Lane
from headrace.flow.policy import Failed

BUSY = Failed(message="HTTP 500", exception="headrace.http.Status500", status=500)
AWAY = Failed(message="refused", exception="builtins.ConnectionRefusedError", unanswered=True)
FULL = Failed(message="HTTP 429", exception="headrace.http.Status429", status=429)
POISON = Failed(message="HTTP 422", exception="headrace.http.Status422", status=422, retriable=False)
MOST = 8


def lane(number: int) -> Lane:
    return ("orders", 0, b"%d" % number)


def opened() -> Breaker:
    breaker = Breaker(MOST, 0)
    for number in range(KEYS):
        breaker.ended(lane(number), BUSY, 1)
    assert breaker.is_open
    return breaker


def test_many_keys_that_fail_are_an_outage() -> None:
    breaker = opened()

    assert breaker.room(0, 1) == 0
    assert breaker.due(1) == 1 + REST


def test_a_few_keys_that_fail_are_poison_however_often() -> None:
    breaker = Breaker(MOST, 0)
    for turn in range(100):
        assert breaker.ended(lane(turn % (KEYS - 1)), BUSY, turn / 10)

    assert not breaker.is_open
    assert breaker.room(0, 10) == MOST


def test_half_of_the_records_that_fail_again_and_again_are_poison() -> None:
    breaker = Breaker(MOST, 0)
    for number in range(100):
        for _ in range(8):
            breaker.ended(lane(number), BUSY, 1)
        breaker.ended(lane(-number - 1), None, 1)

    assert not breaker.is_open


def test_a_single_key_that_nothing_answers_is_an_outage() -> None:
    breaker = Breaker(MOST, 0)
    counted = [breaker.ended(lane(0), AWAY, number) for number in range(STREAK)]

    assert breaker.is_open
    assert counted == [True] * (STREAK - 1) + [False], "what opens it is of the outage, and may be a last attempt"


def test_the_failure_by_which_many_keys_are_an_outage_does_not_count() -> None:
    breaker = Breaker(MOST, 0)
    counted = [breaker.ended(lane(number), BUSY, 1) for number in range(KEYS)]

    assert breaker.is_open
    assert counted == [True] * (KEYS - 1) + [False]


def test_a_busy_target_that_turns_is_away_whatever_went_well_before() -> None:
    """Each key has failed once by then, so that no record has used up two attempts."""
    breaker = Breaker(MOST, 0)
    for number in range(1000):
        breaker.ended(lane(number), None, 1)
    counted = [breaker.ended(lane(number), FULL, 1.1) for number in range(KEYS)]

    assert breaker.is_open
    assert counted == [True] * (KEYS - 1) + [False]


def test_many_keys_that_fail_with_a_success_between_them_are_poison() -> None:
    breaker = Breaker(MOST, 0)
    for number in range(1000):
        breaker.ended(lane(number), None, 1)
    for number in range(100):
        breaker.ended(lane(number), BUSY, 2)
        if number % (KEYS - 1) == KEYS - 2:
            breaker.ended(lane(-1), None, 2)

    assert not breaker.is_open


def test_a_definite_answer_says_that_the_target_is_there() -> None:
    breaker = Breaker(MOST, 0)
    for number in range(100):
        breaker.ended(lane(number), POISON, 1)

    assert not breaker.is_open


def test_failures_of_long_ago_are_forgotten() -> None:
    breaker = Breaker(MOST, 0)
    for number in range(KEYS - 1):
        breaker.ended(lane(number), BUSY, 1)
    breaker.ended(lane(KEYS), BUSY, 1 + 3 * HALF)

    assert not breaker.is_open


def test_what_fails_while_it_is_open_does_not_count_and_a_probe_rests_longer_each_time() -> None:
    breaker, now, rests = opened(), 1.0, []
    assert not breaker.ended(lane(0), BUSY, now)
    for _ in range(6):
        due = breaker.due(now)
        assert due is not None
        rests.append(due - now)
        now = due
        assert breaker.room(0, now) == 1
        assert breaker.room(1, now) == 0
        assert not breaker.ended(lane(0), BUSY, now)

    assert rests == [REST, 2 * REST, 4 * REST, 8 * REST, LONGEST_REST, LONGEST_REST]


def test_a_probe_that_goes_well_lets_the_others_follow_twice_as_many_each_round() -> None:
    breaker, now = opened(), 1 + REST
    breaker.ended(lane(0), None, now)
    rooms = []
    for _ in range(4):
        rooms.append(breaker.room(0, now))
        for number in range(breaker.room(0, now)):
            breaker.ended(lane(number), None, now)

    assert not breaker.is_open
    assert rooms == [1, 2, 4, MOST]


def test_too_much_halves_what_runs_at_once_and_it_grows_by_one_a_round() -> None:
    breaker = Breaker(MOST, 0)
    breaker.ended(lane(0), FULL, CALM)
    breaker.ended(lane(1), FULL, CALM)
    halved = breaker.room(0, CALM)
    rounds = 0
    while breaker.limit < MOST:
        for number in range(breaker.limit):
            breaker.ended(lane(number), None, CALM)
        rounds += 1

    assert halved == MOST // 2
    assert MOST // 2 <= rounds <= MOST


@given(st.lists(st.tuples(st.sampled_from([None, BUSY, AWAY, FULL, POISON]), st.integers(0, 40), st.floats(0, 30))))
def test_it_is_never_shut_for_ever_and_never_lets_too_many_in(
    ends: list[tuple[Failed | None, int, float]],
) -> None:
    breaker, now = Breaker(MOST, 0), 0.0
    for failed, number, wait in ends:
        now += wait
        breaker.ended(lane(number), failed, now)
        assert breaker.room(0, now) <= MOST
        later = breaker.due(now) or now
        assert later - now <= LONGEST_REST
        assert breaker.room(0, later) >= 1
