"""What a client asked, and gave up before there was an answer: its connection is closed when the client is."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes.aio import client

from headrace_operator.clients.api import Api
from headrace_operator.clients.connections import Connections
from tests.cluster import authority
from tests.waiting import PATIENCE


class Mute:
    """A server over TLS that reads what it is asked, and does nothing from then on: it says no goodbye either."""

    def __init__(self, folder: Path) -> None:
        authority.issue(folder, [authority.Certificate(file="server", user="mute", serves=("127.0.0.1",))])
        self.authority = str(folder / "ca.crt")
        self.asked, self.end = threading.Event(), threading.Event()
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        """Serve one connection until the end."""
        with self._listener, self._tls.wrap_socket(self._listener.accept()[0], server_side=True) as one:
            one.recv(2**16)
            self.asked.set()
            self.end.wait(PATIENCE)


@contextmanager
def mute(folder: Path) -> Iterator[Mute]:
    """Run one in a thread."""
    server = Mute(folder)
    running = threading.Thread(target=server.run)
    running.start()
    try:
        yield server
    finally:
        server.end.set()
        running.join(PATIENCE)


async def cancelled(request: Coroutine[Any, Any, Any], server: Mute) -> None:
    """Make a request, and give it up once the server has read it."""
    asking = asyncio.create_task(request)
    assert await asyncio.to_thread(server.asked.wait, PATIENCE)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()


async def of_kubernetes(server: Mute) -> None:
    """Ask as the API server is asked."""
    configuration = client.Configuration()
    configuration.host, configuration.ssl_ca_cert = server.url, server.authority
    api = Api(configuration)
    await cancelled(api.get("/"), server)
    await api.close()


async def of_others(server: Mute) -> None:
    """Ask as others are asked, and kopf asks."""
    trusted = ssl.create_default_context(cafile=server.authority)
    async with aiohttp.ClientSession(connector=Connections(limit=0, ssl=trusted)) as session:
        await cancelled(session.request("GET", server.url), server)


@pytest.mark.parametrize("using", [of_kubernetes, of_others])
def test_a_request_that_was_given_up_leaves_no_connection_open(
    tmp_path: Path, using: Callable[[Mute], Coroutine[Any, Any, None]]
) -> None:
    """Its event loop ends right after the client was closed."""
    with mute(tmp_path) as server, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(using(server))
        gc.collect()

    assert [str(one.message) for one in told if issubclass(one.category, ResourceWarning)] == []
