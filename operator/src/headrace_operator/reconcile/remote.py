"""The remote parts of the world: one way in, for observers and for actions."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import aiohttp

from headrace_operator.clients.agent import Agents
from headrace_operator.clients.connect import Connect
from headrace_operator.clients.connect_entrances import Entrances
from headrace_operator.clients.connections import Connections
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.clients.relay import Relays


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The clients of one operator: ``kube`` reads live, ``near`` also what is remembered (see ARCHITECTURE.md)."""

    kube: Kube
    near: Kube
    connect: Connect
    kafkas: Kafkas
    entrances: Entrances
    agents: Agents
    relays: Relays

    @property
    def live(self) -> Remote:
        """The same clients, of which none says of Kubernetes what is only remembered."""
        return replace(self, near=self.kube)


async def opened(kube: Kube, near: Kube, stack: AsyncExitStack) -> Remote:
    """Return the clients beside ``kube`` and ``near``, open until ``stack`` ends."""
    kafkas = Kafkas(kube)
    stack.callback(kafkas.close)
    session = aiohttp.ClientSession(connector=Connections(limit=0), cookie_jar=aiohttp.DummyCookieJar())
    await stack.enter_async_context(session)
    return Remote(
        kube=kube,
        near=near,
        connect=Connect(session),
        kafkas=kafkas,
        entrances=Entrances(kube),
        agents=Agents(session),
        relays=Relays(session),
    )
