"""Ports of loopback for servers of tests.

A port is given to one test session of the machine, for as long as that lives: its server begins to listen only later.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

LOWEST, HIGHEST = 20_000, 29_999
"""Below those that outgoing connections take meanwhile, and below those of Kubernetes' Services."""

_given: list[socket.socket] = []
"""A name for each port that this process has given, which the kernel gives to no other one, and frees at its end."""


def free_port() -> int:
    """Return a port that nothing listens on, and that nobody else is given."""
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """Return that many such ports."""
    with ExitStack() as held:
        return [held.enter_context(_listener()).getsockname()[1] for _ in range(count)]


def _listener() -> socket.socket:
    while True:
        port = random.randint(LOWEST, HIGHEST)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0headrace-tests-{port}")
            listener = socket.create_server(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _given.append(name)
        return listener
