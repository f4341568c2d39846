"""The validator finds each broken promise in a history that is otherwise good, and none in a good one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.runtime.history import Effect, History, Letter, Told, violations

KILLED = 20.0
OUTAGE = (40.0, 50.0)


def effect(number: int, process: str, at: float) -> Effect:
    return Effect("ab"[number % 2], number, process, at)


GOOD = History(
    produced={number: "ab"[number % 2] for number in range(12)},
    effects=(
        effect(0, "one", 1),
        effect(1, "one", 2),
        effect(2, "one", 19.5),
        effect(2, "two", 30),  # it was killed before it could tell
        effect(3, "two", 31),
        effect(4, "two", 45),
        effect(4, "three", 60),  # nor could it while Kafka was away
        effect(5, "three", 61),
        effect(8, "two", 62),
        effect(10, "three", 63),
        effect(11, "two", 64),
    ),
    letters=(Letter(6, "max-attempts"), Letter(7, "non-retriable"), Letter(9, "non-retriable")),
    discarded=frozenset({7}),
    killed={"one": KILLED},
    outages=(OUTAGE,),
    told={
        "two": (Told("letter", "max-attempts"), Told("open"), Told("closed"), Told("letter", "non-retriable")),
        "three": (Told("open"), Told("letter", "non-retriable"), Told("closed")),
    },
)


def without(*numbers: int) -> History:
    return dataclasses.replace(GOOD, effects=tuple(one for one in GOOD.effects if one.number not in numbers))


def with_effect(place: int, more: Effect) -> History:
    return dataclasses.replace(GOOD, effects=(*GOOD.effects[:place], more, *GOOD.effects[place:]))


def with_letter(*more: Letter) -> History:
    return dataclasses.replace(GOOD, letters=(*GOOD.letters, *more))


def swapped(one: int, other: int) -> History:
    effects = list(GOOD.effects)
    effects[one], effects[other] = effects[other], effects[one]
    return dataclasses.replace(GOOD, effects=tuple(effects))


def told(*what: Told) -> History:
    return dataclasses.replace(GOOD, told={**GOOD.told, "three": what})


def test_a_good_history_breaks_no_promise() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("history", "says"),
    [
        (without(5), "5 is lost"),
        (dataclasses.replace(GOOD, letters=GOOD.letters[1:]), "6 is lost"),
        (with_letter(Letter(5, "max-attempts")), "5 is done and a dead letter"),
        (with_letter(Letter(99, "max-attempts")), "99 was never produced"),
        (dataclasses.replace(GOOD, discarded=frozenset({7, 5})), "5 was discarded and is no dead letter"),
        (swapped(7, 10), "b: 11 came after 3, before what is between them"),
        (swapped(0, 2), "a began with 2"),
        (with_effect(11, effect(5, "two", 65)), "b ended with 5, which is not its last"),
        (with_effect(8, effect(5, "two", 61.5)), "5 was done by three and again by two"),
        (with_effect(2, effect(1, "two", 3)), "1 was done by one and again by two"),
        (dataclasses.replace(GOOD, killed={}), "2 was done by one and again by two"),
        (dataclasses.replace(GOOD, killed={"one": 21.0}), "2 was done by one and again by two"),
        (dataclasses.replace(GOOD, outages=()), "4 was done by two and again by three"),
        (with_letter(*[Letter(6, "max-attempts")] * 3), "6 has 4 dead letters"),
        (told(Told("open"), Told("letter", "max-attempts")), "three wrote a dead letter (max-attempts) while its"),
        (told(Told("open"), Told("letter", "non-retriable"), Told("letter", "expired")), "three wrote a dead letter"),
    ],
    ids=[
        "a record is dropped",
        "a letter is not written",
        "a record is done and given up",
        "a letter of nothing",
        "discarded though done",
        "two of a key change places",
        "a key does not begin with its first",
        "old state comes last",
        "after an orderly hand-over",
        "long before the process was killed",
        "nobody was killed",
        "more than a second before",
        "kafka was not away",
        "letters without end",
        "given up for an outage",
        "given up after a probe that was refused",
    ],
)
def test_what_breaks_a_promise_is_found(history: History, says: str) -> None:
    found = violations(history)
    assert found
    assert any(one.startswith(says) for one in found), found


class Group:
    """A model of two processes that hand a key over: the second begins where the first has committed.

    ``fenced``: what the first had begun as it left is dropped. ``drained``: it finishes and commits what it runs.
    """

    def __init__(self, count: int, at: int, running: int, *, fenced: bool = True, drained: bool = True) -> None:
        self.count = count
        begun = range(at, min(at + running, count))
        before = [Effect("k", number, "one", float(number)) for number in range(at)]
        late = [Effect("k", number, "one", 100.0 + number) for number in begun]
        if drained:
            before, at = [*before, *late], at + len(late)
        after = [Effect("k", number, "two", 200.0 + number) for number in range(at, count)]
        between = [] if drained or fenced else late
        self.effects = [*before, *_mixed(after, between)]

    def history(self) -> History:
        return History(produced=dict.fromkeys(range(self.count), "k"), effects=self.effects)


def _mixed(one: Sequence[Effect], other: Sequence[Effect]) -> list[Effect]:
    return [effect for pair in zip(one, other, strict=False) for effect in pair] + list(one[len(other) :])


SIZES = some.integers(3, 30).flatmap(lambda count: some.tuples(some.just(count), some.integers(1, count - 1)))


@given(SIZES, some.integers(1, 5))
def test_a_hand_over_is_good_where_what_runs_is_finished_or_dropped(size: tuple[int, int], running: int) -> None:
    assert violations(Group(*size, running).history()) == []
    assert violations(Group(*size, running, drained=False).history()) == []


@given(SIZES, some.integers(1, 5))
def test_a_hand_over_without_the_fence_is_found(size: tuple[int, int], running: int) -> None:
    """Both do the same records: the new owner from the commit on, the old one what it had begun."""
    assert violations(Group(*size, running, drained=False, fenced=False).history())


@pytest.mark.parametrize("drop", [lambda number: number == 5, lambda number: number > 8, lambda number: number == 0])
def test_a_dropped_record_is_found_wherever_it_was(drop: Callable[[int], bool]) -> None:
    group = Group(10, 4, 2)
    group.effects = [effect for effect in group.effects if not drop(effect.number)]
    assert violations(group.history())
