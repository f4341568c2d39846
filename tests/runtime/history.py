"""A validator over the recorded history of a load: what Headrace promises of it, and what in it breaks a promise.

In the manner of Jepsen's checkers: a run with faults only records, and what it recorded is judged afterwards. Pure.

A record has a key and a number; numbers rise within a key in the order in which its records were produced.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple


class Effect(NamedTuple):
    """The target took the record of this number at ``at`` (seconds) from the process of this name."""

    key: str
    number: int
    process: str
    at: float


class Letter(NamedTuple):
    """A dead letter of the record of this number, for this reason."""

    number: int
    reason: str


class Told(NamedTuple):
    """What a process said, in turn: that its circuit is open, that it is closed, that it writes a dead letter."""

    what: Literal["open", "closed", "letter"]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class History:
    """What a load was and what became of it; times are of one clock.

    ``produced`` has the key of each number, ``effects`` are in the order in which the target took them, ``letters`` as
    they lie in the dead-letter topic, of which some numbers were ``discarded``. Processes that did not end in order
    were ``killed`` then; Kafka was away, or out of a process's reach, in the ``outages``, from and until.
    """

    produced: Mapping[int, str]
    effects: Sequence[Effect]
    letters: Sequence[Letter] = ()
    discarded: frozenset[int] = frozenset()
    killed: Mapping[str, float] = field(default_factory=dict)
    outages: Sequence[tuple[float, float]] = ()
    told: Mapping[str, Sequence[Told]] = field(default_factory=dict)


FINAL = "non-retriable"
"""The reason of a letter that the target itself asked for: a definite answer, whatever else is known of the target."""

UNTOLD = 1.0
"""Seconds of what is finished that a process which ends without order may not have told."""

SLACK = 15.0
"""Seconds beside those, in which a busy machine may not have come to commit."""


def violations(history: History, slack: float = 0.0) -> list[str]:
    """Return a sentence for each promise that was broken; ``slack`` in seconds for clocks and a busy machine."""
    return [*_ends(history), *_order(history), *_repeats(history, UNTOLD + slack), *_letters_in_an_outage(history)]


def _ends(history: History) -> Iterator[str]:
    """Each record ends once: done, as a dead letter that is outstanding, or as one that was discarded."""
    done = {effect.number for effect in history.effects}
    written = {letter.number for letter in history.letters}
    for number in sorted(done | written | history.discarded):
        if number not in history.produced:
            yield f"{number} was never produced"
    for number in sorted(history.produced):
        ends = [name for name, which in (("done", done), ("a dead letter", written)) if number in which]
        if not ends:
            yield f"{number} is lost"
        if len(ends) > 1:
            yield f"{number} is {' and '.join(ends)}"
        if number in history.discarded and number not in written:
            yield f"{number} was discarded and is no dead letter"


def _order(history: History) -> Iterator[str]:
    """A key's effects are its records in order. One may come again, and then all after it, up to the last again."""
    for key, numbers in _by_key(history).items():
        rank = {number: place for place, number in enumerate(sorted(set(numbers)))}
        places = [rank[number] for number in numbers]
        if places[0] != 0:
            yield f"{key} began with {numbers[0]}"
        for (before, after), step in zip(pairwise(numbers), pairwise(places), strict=True):
            if step[1] > step[0] + 1:
                yield f"{key}: {after} came after {before}, before what is between them"
        if places[-1] != len(rank) - 1:
            yield f"{key} ended with {numbers[-1]}, which is not its last"


def _by_key(history: History) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for effect in history.effects:
        if effect.number in history.produced:
            found[effect.key].append(effect.number)
    return found


def _repeats(history: History, untold: float) -> Iterator[str]:
    """What was done comes again only where its process could not tell it: it was killed, or Kafka was away."""
    last: dict[int, Effect] = {}
    for effect in history.effects:
        before = last.get(effect.number)
        if before is not None and not _is_untold(history, before, untold):
            yield f"{effect.number} was done by {before.process} and again by {effect.process}"
        last[effect.number] = effect
    unclean = len(history.killed) + len(history.outages)
    for number, count in sorted(Counter(letter.number for letter in history.letters).items()):
        if count > 1 + unclean:
            yield f"{number} has {count} dead letters"


def _is_untold(history: History, effect: Effect, untold: float) -> bool:
    killed = history.killed.get(effect.process)
    by_death = killed is not None and effect.at >= killed - untold
    return by_death or any(since - untold <= effect.at <= until + untold for since, until in history.outages)


def _letters_in_an_outage(history: History) -> Iterator[str]:
    """While the circuit of a process is open it gives up no record for it."""
    for process, told in history.told.items():
        is_open = False
        for one in told:
            if one.what == "letter" and is_open and one.reason != FINAL:
                yield f"{process} wrote a dead letter ({one.reason}) while its circuit was open"
            is_open = one.what == "open" if one.what != "letter" else is_open
