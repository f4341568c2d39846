"""The operator's own client of a protected Kafka Connect, with Secrets of the test's, at a port of loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from headrace_operator.api.connectcluster import Rest
from headrace_operator.clients.connect import Connect
from headrace_operator.clients.connect_entrances import Entrances
from headrace_operator.clients.kube import Kube
from headrace_operator.plan import names
from tests.cluster import authority
from tests.operator.loops import Loopback
from tests.waiting import PATIENCE

HOST = names.connect_domain("shop", "main")
URL = names.connect_url("shop", "main", tls=True)
REST: dict[str, Any] = {"tls": {"secret": "tls"}, "auth": {"credentials": {"secret": "login"}}}
Secrets = Mapping[str, Mapping[str, str]]


class Shelf(Kube):
    """The Secrets as the operator reads them; nothing else is asked."""

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets

    async def secret_values(self, namespace: str, name: str, address: str) -> Mapping[str, bytes]:
        return {key: value.encode() for key, value in self.secrets[name].items()}


def certify(folder: Path) -> None:
    """Make what the Secret of `rest.tls` holds, with the names that its documentation asks for."""
    authority.issue(folder, [authority.Certificate(file="tls", user="connect", serves=(HOST, f"*.{HOST}"))])
    (folder / "tls.key").write_text(authority.pkcs8(folder / "tls.key"))


async def enter(connect: Connect, secrets: Secrets, rest: Mapping[str, Any] = REST) -> None:
    """Read the Secrets, and ask the workers so from now on."""
    entrance = await Entrances(Shelf(secrets)).open(URL, "shop", Rest.model_validate(rest))
    connect.enter(URL, entrance)


@asynccontextmanager
async def entering(port: int, secrets: Secrets) -> AsyncIterator[Connect]:
    """Give a client that takes the worker at ``port`` for all of them."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Loopback(port))) as session:
        connect = Connect(session, deadline=PATIENCE, kept=0)
        await enter(connect, secrets)
        yield connect
