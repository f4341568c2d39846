"""Ports of loopback for servers of tests."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

LOWEST, HIGHEST = 20_000, 29_999
"""Below those that outgoing connections take meanwhile, and below those of Kubernetes' Services."""


def free_port() -> int:
    """Return a port that nothing listens on."""
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """Return that many ports that nothing listens on."""
    with ExitStack() as held:
        return [held.enter_context(_listener()).getsockname()[1] for _ in range(count)]


def _listener() -> socket.socket:
    while True:
        try:
            return socket.create_server(("127.0.0.1", random.randint(LOWEST, HIGHEST)))
        except OSError:
            continue
