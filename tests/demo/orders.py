"""Say which orders the demo's shop places, and when.

It must not write them: the same numbers always give the same orders.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

CUSTOMERS = 500
KNOWN_CURRENCY = "EUR"
UNKNOWN_CURRENCY = "XTS"
"""ISO 4217 keeps this code for tests; billing refuses it until its switch is flipped."""
POISONED = 5

_SEED = 20


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order; ``sequence`` counts the orders of its customer from 1."""

    id: int
    customer: int
    sequence: int
    amount: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of the orders that is placed at an even rate, in orders a second."""

    share: float
    rate: float


STORY = (
    Phase(share=0.04, rate=80),
    Phase(share=0.42, rate=1200),
    Phase(share=0.08, rate=80),
    Phase(share=0.42, rate=1200),
    Phase(share=0.04, rate=80),
)
"""Two bursts between quiet phases; with 20,000 orders they last seven seconds each."""


def orders(first: int, count: int) -> tuple[Order, ...]:
    """Return the orders with ids ``first`` .. ``first + count - 1``; five of them are poisoned."""
    placed = tuple(itertools.islice(_endless(), first - 1, first - 1 + count))
    poisoned = poisoned_ids(placed)
    return tuple(replace(order, currency=UNKNOWN_CURRENCY) if order.id in poisoned else order for order in placed)


def poisoned_ids(placed: tuple[Order, ...]) -> frozenset[int]:
    """Choose three orders that later ones of their customer follow, and two that are their customer's last."""
    last = {order.customer: order.id for order in placed}
    followed = [order.id for order in placed if last[order.customer] != order.id]
    ending = sorted(last.values())
    middle = [followed[len(followed) * part // 4] for part in (1, 2, 3)] if len(followed) > POISONED else followed[:3]
    return frozenset([*middle, *(ending[len(ending) * part // 3] for part in (1, 2))])


def due(count: int, phases: tuple[Phase, ...] = STORY) -> tuple[float, ...]:
    """Return for each of ``count`` orders the seconds after the start at which it is placed."""
    times: list[float] = []
    begin, done = 0.0, 0.0
    for phase in phases:
        done += phase.share
        number = round(count * done) - len(times)
        times.extend(begin + place / phase.rate for place in range(number))
        begin += number / phase.rate
    return tuple(times)


def _endless() -> Iterator[Order]:
    dice = random.Random(_SEED)
    sequences: Counter[int] = Counter()
    return (_next(number, dice, sequences) for number in itertools.count(1))


def _next(number: int, dice: random.Random, sequences: Counter[int]) -> Order:
    customer = dice.randrange(1, CUSTOMERS + 1)
    sequences[customer] += 1
    amount = Decimal(dice.randrange(100, 50_000)) / 100
    return Order(id=number, customer=customer, sequence=sequences[customer], amount=amount, currency=KNOWN_CURRENCY)
