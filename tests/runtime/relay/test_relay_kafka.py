"""Rows become records: in order per key, as the rows of a captured outbox do, over real databases and a real broker."""

from __future__ import annotations

import pytest

from headrace.outbox import PROCESSED
from tests.runtime.relay.outboxes import Feed, Outbox, by_key, killed_in_mid_batch, relaying
from tests.waiting import until

pytestmark = pytest.mark.slow

SOME = 2000
KEYS = 997


def test_a_row_is_published_as_a_captured_one_would_be(made: Outbox) -> None:
    """Key, value and headers are the row's; the row is PROCESSED, by the database's clock."""
    made.topic()
    made.run(
        f"INSERT INTO {made.table} (messageId, messageType, messageKey, payload, traceparent)"
        " VALUES ('0b1f6c52-3f0e-4c53-9a34-3f6f4f1f6a55', 'order', 'k', 'ä', '00-ab-cd-01')"
    )
    with relaying(made) as running:
        until("the row processed", made.is_done(1))
        until("ready", lambda: running.get("/readyz")[0] == 200)
        until("it to be counted", lambda: running.metric("headrace_relay_published_total") == 1)
        assert running.stop() == 0

    (record,) = made.published()
    assert (record.key, record.value) == (b"k", "ä".encode())
    assert dict(record.headers) == {
        "id": b"0b1f6c52-3f0e-4c53-9a34-3f6f4f1f6a55",
        "eventType": b"order",
        "traceparent": b"00-ab-cd-01",
    }
    late = "processedAt >= occurredAt AND processedAt < occurredAt + interval '1' hour"
    assert made.run(f"SELECT count(*) FROM {made.table} WHERE {late}") == [(1,)]


def test_two_replicas_of_which_one_is_killed_publish_all_in_order(made: Outbox) -> None:
    """What is published twice was under way when the replica died: a batch at most."""
    made.topic()
    with relaying(made) as first, relaying(made) as second:
        both = (first, second)
        until("both run", lambda: all(one.get("/metrics")[0] == 200 for one in both))
        until("both hold their share", lambda: all(one.metric("headrace_relay_buckets") == 32 for one in both))
        with Feed(made, KEYS) as feed:
            until("it is in the middle", lambda: made.counts().get(PROCESSED, 0) > SOME)
            under_way = killed_in_mid_batch(made, first)
        until("all processed", made.is_done(feed.count))

    numbers = by_key(made.published())
    repeats = sum(map(len, numbers.values())) - feed.count
    assert len(numbers) == KEYS
    assert 0 < repeats <= made.relay.batch
    for found in numbers.values():
        once = list(dict.fromkeys(found))
        assert once == sorted(once)
        assert {n for n in found if found.count(n) > 1} <= under_way
