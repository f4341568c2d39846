"""Claims of messages while attempts run, and what a store that does not answer changes; in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from headrace.metrics import Metrics
from headrace.record import Record
from headrace.stores import Away, Standing
from headrace.stores.memory import MemoryStore
from headrace.worker import deduplication
from headrace.worker.deduplication import LEASE, Claim, Deduplication
from tests.runtime.configs import BILLING

RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b"{}", headers=(("id", b"m"),))


class Store(MemoryStore):
    """One in virtual time, that does not answer while it is told to."""

    def __init__(self) -> None:
        super().__init__(most=10, window=1e6, lease=LEASE, clock=asyncio.get_running_loop().time)
        self.away = False
        self.asked = 0

    async def claim(self, message_id: str, token: str) -> Standing:
        self.asked += 1
        self._answer()
        return await super().claim(message_id, token)

    async def renew(self, message_id: str, token: str) -> None:
        self._answer()
        await super().renew(message_id, token)

    async def done(self, message_id: str) -> None:
        self._answer()
        await super().done(message_id)

    def _answer(self) -> None:
        if self.away:
            raise Away("it is away")


async def claimed(once: Deduplication) -> Claim:
    found = await once.claim(RECORD)
    assert isinstance(found, Claim)
    return found


@pytest.mark.looptime
async def test_an_attempt_has_its_message_however_long_it_takes() -> None:
    """Also past its time-out, and over a store that is away for less than a lease; who died has it for a lease."""
    store = Store()
    once = Deduplication(store, Metrics(BILLING))
    claim = await claimed(once)
    await asyncio.sleep(10 * LEASE)
    store.away = True
    await asyncio.sleep(LEASE / 2)
    store.away = False
    await asyncio.sleep(LEASE)
    assert await store.claim("m", "other") is Standing.HELD
    await claim.settle(done=False)
    assert await store.claim("m", "dies") is Standing.NEW
    await asyncio.sleep(LEASE - 1)
    assert await store.claim("m", "other") is Standing.HELD
    await asyncio.sleep(2)
    assert await store.claim("m", "other") is Standing.NEW


@pytest.mark.looptime
async def test_what_is_done_is_told_again_until_the_store_takes_it() -> None:
    """One that comes back soon enough knows it; for one that does not, the record is finished all the same."""
    store = Store()
    once = Deduplication(store, Metrics(BILLING))
    claim = await claimed(once)
    store.away = True
    told = asyncio.create_task(claim.settle(done=True))
    await asyncio.sleep(2.5)
    store.away = False
    await told
    assert await once.claim(RECORD) is None

    other = await once.claim(Record(topic="orders", partition=0, offset=2, key=b"k", value=b"{}"))
    assert isinstance(other, Claim)
    store.away = True
    async with asyncio.timeout(60):
        await other.settle(done=True)


async def test_a_store_that_is_away_is_asked_by_one_record_at_a_time() -> None:
    """A thousand that wait do not each ask it, and each is told how long to wait."""
    store = Store()
    once = Deduplication(store, Metrics(BILLING))
    store.away = True
    waits = [await once.claim(RECORD) for _ in range(1000)]
    assert store.asked < 10
    assert all(isinstance(wait, float) and 0 < wait <= 15 for wait in waits)


@pytest.mark.looptime
@pytest.mark.parametrize("written", [2000, None])
async def test_another_record_at_the_same_place_is_not_passed_over(written: int | None) -> None:
    """As after a topic was made anew, or its log was cut and filled again."""
    once = Deduplication(Store(), Metrics(BILLING))
    first = replace(RECORD, headers=(), timestamp=1000)
    claim = await once.claim(first)
    assert isinstance(claim, Claim)
    await claim.settle(done=True)
    assert await once.claim(first) is None, "the same record is"
    other = await once.claim(replace(first, timestamp=written))
    assert isinstance(other, Claim)
    await other.settle(done=False)


@pytest.mark.looptime
async def test_a_store_is_away_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while another attempt has a message, which waits for that alone."""
    store = Store()
    once = Deduplication(store, Metrics(BILLING))
    claim = await claimed(once)
    await once.claim(RECORD)
    assert not once.is_away
    monkeypatch.setattr(deduplication, "REST", 1e-9)
    store.away = True
    await once.claim(RECORD)
    assert once.is_away
    store.away = False
    await once.claim(RECORD)
    assert not once.is_away
    await claim.settle(done=False)
