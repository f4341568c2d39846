"""Which records need no handling, as their message was handled: asks the store before an attempt, and tells it after.

A store that does not answer makes records wait, and says nothing of them or of the target: no attempt is counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from headrace import config as contract
from headrace.config import Config
from headrace.metrics import Metrics
from headrace.record import Record
from headrace.stores import Away, Standing, Store

log = logging.getLogger(__name__)

LEASE, RENEW = 30.0, 10.0
"""Seconds that a claim lasts, which is for how long a pod that died holds a message, and how often it is begun anew."""

HELD = 1.0
"""Seconds until a message that another attempt has claimed is asked about again."""

REST, LONGEST_REST = 1.0, 15.0
"""Seconds until a store that did not answer is asked again: the first time, and at most."""

TRIES = 5
"""How often the store is told that a message was handled, a second apart, until that is given up."""


class Claim:
    """A message that this attempt alone may handle, however long it takes."""

    def __init__(self, store: Store, message_id: str, token: str, metrics: Metrics) -> None:
        self._store = store
        self._message_id = message_id
        self._token = token
        self._metrics = metrics
        self._renewal: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(RENEW, self._renew)

    def _renew(self) -> None:
        """Renew the lease in a task of its own: most attempts end before there is any need."""
        self._renewal = asyncio.create_task(self._renewed())

    async def _renewed(self) -> None:
        while True:
            try:
                await self._store.renew(self._message_id, self._token)
            except Away:
                self._metrics.deduplication_failures.inc()
            await asyncio.sleep(RENEW)

    async def settle(self, *, done: bool) -> None:
        """Tell the store how the attempt ended; what it does not take is said, and changes nothing."""
        self._timer.cancel()
        if self._renewal is not None:
            self._renewal.cancel()
        for left in reversed(range(TRIES if done else 1)):
            try:
                await self._tell(done)
                return
            except Away as error:
                self._metrics.deduplication_failures.inc()
                if not left:
                    log.warning("%s is not known to be %s: %s", self._message_id, _word(done), error)
                    return
            await asyncio.sleep(REST)

    async def _tell(self, done: bool) -> None:
        if done:
            await self._store.done(self._message_id)
        else:
            await self._store.release(self._message_id, self._token)


def _word(done: bool) -> str:
    return "handled, and is handled again if it comes again" if done else "free again before its lease ends"


class Deduplication:
    """Asks one store."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._rest = 0.0
        self._until = 0.0

    @property
    def is_away(self) -> bool:
        """Whether the store did not answer when it was asked last."""
        return self._rest > 0

    async def claim(self, record: Record) -> Claim | float | None:
        """Return the claim of ``record``'s message, None when it was handled, or the seconds to wait and ask again."""
        now = time.monotonic()
        if now < self._until:
            return self._until - now
        token = uuid.uuid4().hex
        try:
            standing = await self._store.claim(record.deduplication_id, token)
        except Away as error:
            return self._missed(error)
        self._answered()
        match standing:
            case Standing.NEW:
                return Claim(self._store, record.deduplication_id, token, self._metrics)
            case Standing.HELD:
                return HELD
            case Standing.DONE:
                self._metrics.deduplicated.inc()
                return None

    async def close(self) -> None:
        """Let go of the store."""
        await self._store.close()

    def _missed(self, error: Away) -> float:
        self._metrics.deduplication_failures.inc()
        if not self._rest:
            log.error("the store of handled messages is away, so records wait and no attempt counts: %s", error)
        now = time.monotonic()
        if now >= self._until:
            self._rest = min(LONGEST_REST, 2 * self._rest or REST)
            self._until = now + self._rest
        self._metrics.store_away.set(1)
        return self._until - now

    def _answered(self) -> None:
        if self._rest:
            log.info("the store of handled messages answers again")
        self._rest = self._until = 0.0
        self._metrics.store_away.set(0)


def deduplication(config: Config, metrics: Metrics) -> Deduplication | None:
    """Return what asks the store that ``config`` names; None when it names none."""
    wanted = config.delivery.deduplication
    return None if wanted is None else Deduplication(_store(config, wanted), metrics)


def _store(config: Config, wanted: contract.Deduplication) -> Store:
    if wanted.redis is None:
        from headrace.stores.memory import MemoryStore

        assert wanted.memory is not None
        return MemoryStore(most=wanted.memory.messages, window=wanted.window, lease=LEASE)
    from headrace.stores.redis import RedisStore

    return RedisStore(wanted.redis, prefix=f"{config.group}:", window=wanted.window, lease=LEASE)
