"""Judge what became of the shop's orders in billing, and say it in one line.

It must not read anything: it is given the rows of both databases, and never looks at Headrace's own metrics.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order and its outbox row as the shop holds them; ``message`` is None when the outbox row is missing."""

    id: int
    message: UUID | None
    customer: int
    sequence: int
    amount: Decimal
    committed: datetime | None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A delivery that billing accepted; ``position`` among its customer's effects is None for a repetition."""

    message: UUID
    customer: int
    sequence: int
    position: int | None
    redriven: int
    committed: datetime | None


@dataclass(frozen=True, kw_only=True)
class Books:
    """The rows of both databases."""

    orders: tuple[Order, ...]
    deliveries: tuple[Delivery, ...]
    balances: Mapping[int, Decimal]
    refused: frozenset[UUID]


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the books add up to; ``faults`` says what does not."""

    orders: int
    effects: int
    lost: int
    customers: int
    balances_right: int
    judged: int
    in_order: int
    redriven: int
    after_later: int
    repeated: int
    recognised: int
    dead_letters: int
    outstanding: int
    latency: tuple[timedelta, timedelta, timedelta] | None
    faults: tuple[str, ...]

    @property
    def adds_up(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.faults

    def line(self) -> str:
        """Return the account as one line."""
        recognised = "all recognised" if self.recognised == self.repeated else f"{self.recognised} recognised"
        return " · ".join(
            (
                f"orders {self.orders}",
                f"effects {self.effects}",
                f"lost {self.lost}",
                f"balances right {self.balances_right}/{self.customers}",
                f"order per customer kept {self.in_order}/{self.judged}",
                f"redriven {self.redriven} (after later orders: {self.after_later})",
                f"repeated deliveries {self.repeated}, {recognised}",
                f"dead letters {self.dead_letters} → {self.outstanding}",
                f"commit-to-effect p50/p95/p99 {_latency(self.latency)}",
            )
        )


def account(books: Books) -> Account:
    """Add up ``books``."""
    effects = [delivery for delivery in books.deliveries if delivery.position is not None]
    per_message = Counter(effect.message for effect in effects)
    by_message = {order.message: order for order in books.orders if order.message is not None}
    lost = [order for order in books.orders if order.message not in per_message]
    doubled = [message for message, times in per_message.items() if times > 1]
    unknown = [message for message in per_message if message not in by_message]
    expected = _expected_balances(books.orders)
    wrong = [
        customer
        for customer in expected.keys() | books.balances.keys()
        if expected.get(customer) != books.balances.get(customer)
    ]
    aside = [effect for effect in effects if effect.redriven or effect.message in books.refused]
    judged = [effect for effect in effects if not effect.redriven and effect.message not in books.refused]
    late = _after_later(judged, of=judged)
    repeated = [delivery for delivery in books.deliveries if delivery.position is None]
    stray = [delivery for delivery in repeated if delivery.message not in per_message]
    outstanding = [message for message in books.refused if message not in per_message]
    faults = (
        _fault("orders have no effect", lost, lambda order: f"order {order.id} (message {order.message})"),
        _fault("messages had more than one effect", doubled, str),
        _fault("effects belong to no order", unknown, str),
        _fault("balances are wrong", wrong, lambda who: _balance(who, expected, books.balances)),
        _fault("effects came after a later order of their customer", late, _effect),
        _fault("repeated deliveries have no effect they repeat", stray, _effect),
        _fault("dead letters were never handled", outstanding, str),
    )
    return Account(
        orders=len(books.orders),
        effects=len(effects),
        lost=len(lost),
        customers=len(expected),
        balances_right=len(expected) - len([customer for customer in wrong if customer in expected]),
        judged=len(judged),
        in_order=len(judged) - len(late),
        redriven=len(aside),
        after_later=len(_after_later([*judged, *aside], of=aside)),
        repeated=len(repeated),
        recognised=len(repeated) - len(stray),
        dead_letters=len(books.refused),
        outstanding=len(outstanding),
        latency=_percentiles(judged, by_message),
        faults=tuple(itertools.chain.from_iterable(faults)),
    )


def _expected_balances(orders: Iterable[Order]) -> dict[int, Decimal]:
    balances: dict[int, Decimal] = defaultdict(Decimal)
    for order in orders:
        balances[order.customer] += order.amount
    return dict(balances)


def _after_later(effects: Iterable[Delivery], *, of: Sequence[Delivery]) -> list[Delivery]:
    """Return those ``of`` the effects that came after an effect of the same customer with a later sequence."""
    asked = {id(effect) for effect in of}
    highest: dict[int, int] = {}
    late = []
    for effect in sorted(effects, key=lambda effect: (effect.customer, effect.position or 0)):
        if id(effect) in asked and effect.sequence < highest.get(effect.customer, 0):
            late.append(effect)
        highest[effect.customer] = max(effect.sequence, highest.get(effect.customer, 0))
    return late


def _percentiles(
    effects: Iterable[Delivery], orders: Mapping[UUID, Order]
) -> tuple[timedelta, timedelta, timedelta] | None:
    """Return p50, p95 and p99 from commit to effect."""
    pairs = ((effect, orders.get(effect.message)) for effect in effects)
    seconds = [
        (effect.committed - order.committed).total_seconds()
        for effect, order in pairs
        if order is not None and order.committed is not None and effect.committed is not None
    ]
    if len(seconds) < 2:
        return None
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return timedelta(seconds=cuts[49]), timedelta(seconds=cuts[94]), timedelta(seconds=cuts[98])


def _fault(what: str, which: Sequence[_T], name: Callable[[_T], str]) -> list[str]:
    if not which:
        return []
    examples = ", ".join(name(each) for each in which[:3])
    return [f"{len(which)} {what}: {examples}{', …' if len(which) > 3 else ''}"]


def _balance(customer: int, expected: Mapping[int, Decimal], seen: Mapping[int, Decimal]) -> str:
    return f"customer {customer} has {seen.get(customer)} instead of {expected.get(customer)}"


def _effect(effect: Delivery) -> str:
    return f"customer {effect.customer} sequence {effect.sequence} (message {effect.message})"


def _latency(percentiles: tuple[timedelta, ...] | None) -> str:
    if percentiles is None:
        return "unknown"
    return "/".join(_duration(each.total_seconds()) for each in percentiles)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
