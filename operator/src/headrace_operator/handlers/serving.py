"""The start waits until the API server serves every kind: kopf never looks again for one that was missing.

It must not know kopf.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection

from headrace_operator.clients.api import Api
from headrace_operator.clients.errors import HeadraceError

RETRY = 2.0
"""Seconds between two looks."""

log = logging.getLogger(__name__)


class Serving:
    """Whether the API server serves the kinds ``plurals`` of ``api_version``; ``why_not`` says what is missing."""

    def __init__(self, api: Api, api_version: str, plurals: Collection[str]) -> None:
        self._api, self._api_version, self._plurals = api, api_version, frozenset(plurals)
        self.why_not: str | None = "The API server was not asked yet which kinds it serves."

    async def wait(self, stop: asyncio.Event) -> None:
        """Return once every kind is served, or once ``stop`` is set; log each change of what is missing."""
        while not stop.is_set():
            before, self.why_not = self.why_not, await self._look()
            if self.why_not is None:
                return
            if self.why_not != before:
                log.warning("%s Waiting for it.", self.why_not)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY)

    async def _look(self) -> str | None:
        try:
            missing = self._plurals - await self._api.served(self._api_version)
        except HeadraceError as error:
            return f"Cannot ask which kinds are served: {error}."
        if not missing:
            return None
        group = self._api_version.split("/", maxsplit=1)[0]
        names = ", ".join(f"{plural}.{group}" for plural in sorted(missing))
        return f"The API server does not serve {names}: install the chart headrace-crds."
