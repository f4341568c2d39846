"""Connections to an HTTP server that is not trusted to speak HTTP: what is known of an answer decides, however it ends.

It must not know what an answer means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from aiohttp.tracing import Trace

LONGEST_LINE, MOST_HEADERS = 1024 * 1024, 10_000
"""Bytes of a line of an answer's head and the number of its headers, beyond which its headers are not read."""

_STATUS = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3})(?:[ \r\n]|$)")
_END = b"\r\n\r\n"
_BEGINNING = 64
"""Bytes of a line that tell whether it says a status."""


_last: ContextVar[Protocol | None] = ContextVar("last", default=None)
"""The connection of this task's last request, if it got one; known within `noted` only."""


@contextmanager
def noted() -> Iterator[None]:
    """Know within it what became of this task's requests; behind it the task's context is as it was before."""
    before = _last.set(None)
    try:
        yield
    finally:
        _last.reset(before)


class Protocol(ResponseHandler):
    """A connection that tells the status of an answer whatever follows its head, also when both arrive at once.

    ``reused`` says whether its last request was not its first, ``status`` what that was answered, also when the rest of
    the head made no sense.
    """

    used = False
    reused = False
    status: int | None = None
    _is_told = False
    _line = b""

    def set_response_params(self, **settings: Any) -> None:
        """Begin to wait for an answer."""
        self._is_told = False
        self._line, self.status = b"", None
        super().set_response_params(**settings)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Tell the head of an answer; those with 1xx come before it."""
        self._is_told = data[0].code >= 200
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take what arrived, the head apart from the rest: a body that makes no sense then spoils the body only.

        A head that did not come whole is taken line by line.
        """
        start = 0
        while not self._is_told and (end := _end(data, start)):
            self._note(data[start:end])
            super().data_received(data[start:end])
            start = end
        if start == 0 or start < len(data):
            self._note(data[start : start + _BEGINNING])
            super().data_received(data[start:])

    def _note(self, part: bytes) -> None:
        """Note the status of the answer from the line that says it, once that is whole."""
        if self._is_told or self.status is not None:
            return
        self._line = (self._line + part)[:_BEGINNING]
        if part.endswith(b"\n"):
            found = _STATUS.match(self._line)
            self._line = b""
            if found and int(found[1]) >= 200:
                self.status = int(found[1])


def _end(data: bytes, start: int) -> int:
    """Return where the head that begins or goes on at ``start`` ends, else its line; 0 where no line does."""
    end = data.find(_END, start)
    is_whole = end >= 0 and data.find(b"\n\n", start, end) < 0
    return end + len(_END) if is_whole else data.find(b"\n", start) + 1


class _Connector(aiohttp.TCPConnector):
    """Notes for the task that asks which connection it was given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = partial(Protocol, loop=self._loop)  # type: ignore[assignment]

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        """Return a connection, new or kept; on a kept one nothing came since its answer: it would be taken for ours."""
        while True:
            _last.set(None)
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert isinstance(protocol, Protocol)
            if not (protocol.used and protocol.should_close):
                protocol.reused, protocol.used = protocol.used, True
                _last.set(protocol)
                return connection
            connection.close()


def was_kept() -> bool:
    """Whether this task's last request went over a connection that was used before."""
    protocol = _last.get()
    return protocol is not None and protocol.reused


def status() -> int | None:
    """Return the status that this task's last request was answered with, if that came."""
    protocol = _last.get()
    return None if protocol is None else protocol.status


def session(**connector: Any) -> aiohttp.ClientSession:
    """Return a client that adds nothing to a request; ``connector`` are the settings of its connections."""
    return aiohttp.ClientSession(
        connector=_Connector(**connector),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("content-type",),
        headers={"accept-encoding": "identity"},
        auto_decompress=False,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
        max_headers=MOST_HEADERS,
    )
