"""A hundred thousand rows by two replicas, of which one is killed again and again. `make soak` runs it."""

from __future__ import annotations

import json

import pytest

from tests.runtime.relay.outboxes import Feed, Outbox, by_key, killed_in_mid_batch, relaying
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROWS, KILLS, KEYS = 100_000, 4, 9973
PART = ROWS // KILLS


def test_a_hundred_thousand_rows_through_kills(made: Outbox) -> None:
    """All are published, in order per key; what is repeated was under way when a replica died: a batch for each."""
    made.topic(partitions=12)
    under_way: set[int] = set()
    rows = 0
    with relaying(made):
        for _ in range(KILLS):
            with relaying(made) as other:
                until("it runs", lambda: other.get("/metrics")[0] == 200)
                until("its share", lambda: other.metric("headrace_relay_buckets") == 32)
                made.insert([(f"key-{n % KEYS}", json.dumps({"n": n})) for n in range(rows, rows + PART)])
                until("some are published", made.is_done(rows + PART // 4))
                with Feed(made, KEYS, first=rows + PART) as feed:
                    under_way |= killed_in_mid_batch(made, other)
                rows = feed.count
        until("all processed", made.is_done(rows))

    numbers = by_key(made.published())
    repeats = sum(map(len, numbers.values())) - rows
    print(f"{made.place.dialect}: {rows} rows, {KILLS} kills with {len(under_way)} rows under way, {repeats} repeats")
    assert rows >= ROWS
    assert len(numbers) == KEYS
    assert 0 < repeats <= KILLS * made.relay.batch
    for found in numbers.values():
        once = list(dict.fromkeys(found))
        assert once == sorted(once)
        assert {n for n in found if found.count(n) > 1} <= under_way
