"""The shop's orders: the same every time, in order per customer, with bursts and five poisoned ones."""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.demo import orders


def test_the_same_numbers_give_the_same_orders() -> None:
    """A second batch continues the first, so the demo can run twice."""
    whole = orders.orders(1, 400)

    second = orders.orders(201, 200)

    assert [(each.customer, each.sequence, each.amount) for each in whole[200:]] == [
        (each.customer, each.sequence, each.amount) for each in second
    ]


def test_sequences_count_from_one_per_customer() -> None:
    """Each customer's orders are numbered without a gap."""
    sequences: dict[int, list[int]] = defaultdict(list)

    for order in orders.orders(1, 20_000):
        sequences[order.customer].append(order.sequence)

    assert len(sequences) == orders.CUSTOMERS
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in sequences.values())


def test_five_are_poisoned_and_three_of_them_are_followed() -> None:
    """Three poisoned orders have a later order of the same customer, two do not."""
    placed = orders.orders(1, 20_000)
    last = {order.customer: order.id for order in placed}

    poisoned = [order for order in placed if order.currency == orders.UNKNOWN_CURRENCY]

    assert Counter(last[order.customer] != order.id for order in poisoned) == {True: 3, False: 2}


def test_bursts_reach_their_rate() -> None:
    """In the busiest second 1,200 orders are due, and the whole story is written within two minutes."""
    times = orders.due(20_000)

    busiest = max(Counter(int(time) for time in times).values())

    assert len(times) == 20_000
    assert 1150 <= busiest <= 1200
    assert times == tuple(sorted(times))
    assert times[-1] < 120
