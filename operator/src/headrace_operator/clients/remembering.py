"""The API server behind what is remembered of it: reads that need not be live are served from there, and renew it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace_operator.clients import errors
from headrace_operator.clients.api import JSON, Api
from headrace_operator.clients.kept import Kept
from headrace_operator.clients.remembered import Remembered
from headrace_operator.clients.renewals import Renewals
from headrace_operator.observed.kube import Manifest

LISTS = 1.0
"""Seconds for which a list serves those that ask for the same one."""

Query = tuple[str, tuple[tuple[str, str], ...]]


class Remembering:
    """The API server as `Api` gives it; what it answers is remembered, and serves reads that need not be ``live``."""

    def __init__(self, api: Api, remembered: Remembered, *, live: bool) -> None:
        self._api, self._remembered, self._live = api, remembered, live
        self._lists: Kept[Query, Manifest | None] = Kept(self._list, LISTS)
        self._renewals = Renewals(api, remembered)

    async def get(self, where: str, **query: str) -> Manifest | None:
        """Return the object or list at ``where``; None when the server says that this very object does not exist."""
        if query:
            return await (self._list if self._live else self._lists.ask)((where, tuple(query.items())))
        known = None if self._live else await self._known(where)
        return await self._read(where) if known is None else known

    async def all_of(self, kind: str) -> list[Manifest]:
        """Return the objects of the list ``kind``: live, or those that are remembered, which may not be all."""
        if self._live:
            return list((await self._read(kind) or {}).get("items", ()))
        return self._remembered.all_of(kind)

    async def send(
        self, method: str, where: str, *, query: Mapping[str, str] | None = None, body: Any = None, form: str = JSON
    ) -> Manifest:
        """Send one request and return the answer; raises `HeadraceError`."""
        about = where.removesuffix("/status")
        try:
            answer = await self._api.send(method, where, query=query, body=body, form=form)
        except errors.HeadraceError:
            self._remembered.drop(about)
            raise
        if method == "PATCH":
            self._remembered.put(about, answer)
        if method == "DELETE":
            self._remembered.drop(about)
        return answer

    async def _known(self, where: str) -> Manifest | None:
        """Return what is remembered of an object; where that is too old, perhaps together with all of its kind."""
        known = self._remembered.get(where)
        if known is None and (last := self._remembered.last(where)) is not None:
            await self._renewals.ask(where, last)
            known = self._remembered.get(where)
        return known

    async def _read(self, where: str) -> Manifest | None:
        found = await self._api.get(where)
        if found is None:
            self._remembered.drop(where)
        elif "items" not in found:
            self._remembered.put(where, found)
        return found

    async def _list(self, asked: Query) -> Manifest | None:
        where, query = asked
        return await self._api.get(where, **dict(query))
