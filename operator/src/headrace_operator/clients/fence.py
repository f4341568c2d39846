"""Whether a write may still be sent: asked right before each one, after whatever it had to wait for.

Who writes for itself, as the Lease's holder does to hold it, asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from headrace_operator.clients.errors import Fenced

SENT = 3.0
"""Seconds within which a write has a connection and is sent; only its answer may come later."""

_MAY: ContextVar[Callable[[float], bool]] = ContextVar("may", default=lambda _: True)


@contextmanager
def fenced(may: Callable[[float], bool]) -> Iterator[None]:
    """Let what runs within send only what ``may`` allows, which is told how many seconds the sending may take."""
    token = _MAY.set(may)
    try:
        yield
    finally:
        _MAY.reset(token)


def check(what: str, sent: float = SENT) -> None:
    """Raise `Fenced` when ``what``, which is sent within ``sent`` seconds, may not be sent any more."""
    if not _MAY.get()(sent):
        raise Fenced(f"{what}: not sent, as another operator may hold the Lease by then")
