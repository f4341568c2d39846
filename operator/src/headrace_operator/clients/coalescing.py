"""Questions that fall together become one: work grows with the time that passes, not with the number of askers.

One that fails as a whole is asked apart, by each asker alone: what one of them asked for is at no other's cost.

It must not know what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

WINDOW = 0.2
"""Seconds that a round waits for others to join: at most five rounds a second, however many ask."""

Key = TypeVar("Key")
Found = TypeVar("Found")

Read = Callable[[frozenset[Key]], Awaitable[Mapping[Key, Found | Exception]]]


class Coalesced(Generic[Key, Found]):
    """Collects keys for `WINDOW` seconds, reads them all at once, and gives each asker its own."""

    def __init__(self, read: Read[Key, Found]) -> None:
        self._read = read
        self._open: tuple[set[Key], asyncio.Task[Mapping[Key, Found | Exception]]] | None = None

    async def ask(self, keys: Iterable[Key]) -> dict[Key, Found]:
        """Return what was found at each of ``keys``; raises what went wrong with one of them, or with the read."""
        wanted = tuple(keys)
        if not wanted:
            return {}
        joined, round_ = self._open or self._begin()
        joined.update(wanted)
        try:
            found = await asyncio.shield(round_)
        except Exception:
            if joined == set(wanted):
                raise
            found = await self._read(frozenset(wanted))
        return {key: _or_raise(found[key]) for key in wanted}

    def _begin(self) -> tuple[set[Key], asyncio.Task[Mapping[Key, Found | Exception]]]:
        joined: set[Key] = set()
        self._open = joined, asyncio.create_task(self._round(joined))
        return self._open

    async def _round(self, joined: set[Key]) -> Mapping[Key, Found | Exception]:
        await asyncio.sleep(WINDOW)
        self._open = None
        return await self._read(frozenset(joined))


def _or_raise(found: Found | Exception) -> Found:
    if isinstance(found, Exception):
        raise found
    return found
