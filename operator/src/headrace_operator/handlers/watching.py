"""kopf, as a watcher and nothing more: `on.event` handlers that ring keys; it writes nothing.

An exception in such a handler loses the event, so that a handler does nothing but ring.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import kopf

from headrace_operator.handlers.rings import NEIGHBOURS, Rings
from headrace_operator.handlers.watches import SILENT, Watches

GROUP, VERSION = "headrace.dev", "v1alpha1"
PLURALS = {kind: f"{kind.lower()}s" for kind in NEIGHBOURS}
OURS = "app.kubernetes.io/managed-by=headrace"


class Forever:
    """Back-offs without end: a missing right or namespace is waited for, not fatal. Each use begins anew."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 2, 3), itertools.repeat(5))


def registry(
    rings: Rings, watches: Watches, session: aiohttp.ClientSession, server: str, stop: asyncio.Event
) -> kopf.OperatorRegistry:
    """Return the handlers of one operator, closed over its parts."""
    made = kopf.OperatorRegistry()
    _surroundings(made, watches, session, server, stop)
    for kind, plural in PLURALS.items():
        _resource(made, rings, kind, plural)

    @kopf.on.event("apps", "v1", "deployments", registry=made)
    async def deployment(labels: Any, namespace: str | None, **_: Any) -> None:
        rings.child(labels, namespace or "")

    return made


def _resource(made: kopf.OperatorRegistry, rings: Rings, kind: str, plural: str) -> None:
    @kopf.on.event(GROUP, VERSION, plural, registry=made, id=plural)
    async def resource(body: Any, type: str | None, **_: Any) -> None:
        rings.resource(kind, body, deleted=type == "DELETED")


def _surroundings(
    made: kopf.OperatorRegistry, watches: Watches, session: aiohttp.ClientSession, server: str, stop: asyncio.Event
) -> None:
    @kopf.on.startup(registry=made)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        for name in ("kopf.objects", "kopf.activities.probe", "aiohttp.access"):
            logging.getLogger(name).setLevel(logging.WARNING)
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.networking.error_backoffs = Forever()
        settings.networking.connect_timeout, settings.networking.request_timeout = 10, 30
        settings.watching.connect_timeout = 10
        settings.watching.label_selectors["apps", "v1", "deployments"] = OURS
        settings.process.ultimate_exiting_timeout = 20

    @kopf.on.cleanup(registry=made)
    async def cleanup(**_: Any) -> None:
        stop.set()

    @kopf.on.login(registry=made)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=server, aiohttp_session=session)

    @kopf.on.probe(registry=made)
    async def watched(**_: Any) -> float:
        silence = watches.silence()
        if silence > SILENT:
            raise kopf.PermanentError(f"no byte on a watch for {silence:.0f} s")
        return silence
