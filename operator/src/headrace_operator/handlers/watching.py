"""kopf, as a watcher and nothing more: `on.event` handlers that remember what came and ring keys; it writes nothing.

An exception in such a handler loses the event, so that a handler does nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import aiohttp
import kopf

from headrace_operator.clients.api import PLURALS as SERVED
from headrace_operator.clients.api import path
from headrace_operator.clients.kube import API_VERSION
from headrace_operator.clients.remembered import Remembered
from headrace_operator.handlers.rings import NEIGHBOURS, Rings

GROUP, VERSION = API_VERSION.split("/")
PLURALS = {kind: SERVED[(API_VERSION, kind)] for kind in NEIGHBOURS}
OURS = "app.kubernetes.io/managed-by=headrace"


def paths(namespaces: Iterable[str]) -> Iterator[str]:
    """Yield the path of each watch."""
    for namespace in namespaces:
        yield path("apps/v1", "Deployment", namespace)
        yield from (path(API_VERSION, kind, namespace) for kind in PLURALS)


class Forever:
    """Back-offs without end: a missing right or namespace is waited for, not fatal. Each use begins anew."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 2, 3), itertools.repeat(5))


def registry(
    rings: Rings, remembered: Remembered, session: aiohttp.ClientSession, server: str, stop: asyncio.Event
) -> kopf.OperatorRegistry:
    """Return the handlers of one operator, closed over its parts."""
    made = kopf.OperatorRegistry()
    _surroundings(made, session, server, stop)
    for kind, plural in PLURALS.items():
        _resource(made, rings, remembered, kind, plural)

    @kopf.on.event("apps", "v1", "deployments", registry=made)
    async def deployment(labels: Any, namespace: str | None, event: Any, **_: Any) -> None:
        _remember(remembered, "apps/v1", "Deployment", event)
        rings.child(labels, namespace or "")

    return made


def _resource(made: kopf.OperatorRegistry, rings: Rings, remembered: Remembered, kind: str, plural: str) -> None:
    @kopf.on.event(GROUP, VERSION, plural, registry=made, id=plural)
    async def resource(body: Any, type: str | None, event: Any, **_: Any) -> None:
        _remember(remembered, API_VERSION, kind, event)
        rings.resource(kind, body, deleted=type == "DELETED")


def _remember(remembered: Remembered, api_version: str, kind: str, event: Any) -> None:
    """Note what a watch told; kopf keeps the events of one object in order, and leaves the kind out of a list's."""
    told = {"apiVersion": api_version, "kind": kind, **event["object"]}
    where = path(api_version, kind, told["metadata"]["namespace"], told["metadata"]["name"])
    if event["type"] == "DELETED":
        remembered.drop(where)
    else:
        remembered.put(where, told)


def _surroundings(
    made: kopf.OperatorRegistry, session: aiohttp.ClientSession, server: str, stop: asyncio.Event
) -> None:
    @kopf.on.startup(registry=made)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
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
