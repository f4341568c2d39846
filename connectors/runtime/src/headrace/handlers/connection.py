"""One connection to an HTTP server that is not trusted to speak HTTP: what is known of an answer decides.

HTTP/1.1 (RFC 9112), one request at a time; llhttp finds where an answer ends. It must not know what an answer means.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

LONGEST_HEAD = 1024 * 1024
"""Bytes of the head of an answer, beyond which the rest of it is not read."""

PATIENCE = 1.0
"""Seconds that the text of an answer may take beyond its status, and its end until the connection serves again."""

LONGEST_REST = 64 * 1024
"""Bytes of an answer that nobody wants, beyond which a new connection costs less than to read them."""

_STATUS = re.compile(rb"[\r\n]*HTTP/[0-9]\.[0-9] ([0-9]{3})(?:[ \r\n]|$)")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


class Answer(NamedTuple):
    """The status of an answer, its ``Retry-After``, and the beginning of its body, which that of a success lacks."""

    status: int
    retry_after: str | None = None
    excerpt: bytes = b""


class Disconnected(ConnectionError):
    """The connection ended before its answer was known, of which something may have come."""

    def __init__(self, *, has_begun: bool) -> None:
        """``has_begun``: the server has answered something."""
        super().__init__(f"the server closed the connection {'amid its answer' if has_begun else 'without an answer'}")
        self.has_begun = has_begun


class NotHttp(ValueError):
    """What the server said has no status; it began with ``excerpt``, which may repeat what is secret in the request."""

    def __init__(self, excerpt: bytes) -> None:
        super().__init__("no answer in HTTP")
        self.excerpt = excerpt


class Connection(asyncio.Protocol):
    """A connection, and what came of the answer to its present request."""

    def __init__(self, excerpt: int, rests: Callable[[Connection], None], ended: Callable[[Connection], None]) -> None:
        """Keep ``excerpt`` bytes of what an answer other than success says, or what is no answer.

        ``rests`` is told when an answer has come whole and another request may follow, ``ended`` at the end.
        """
        self.rests_since = 0.0
        self._longest = excerpt
        self._rests, self._ended = rests, ended
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._transport: asyncio.Transport | None = None
        self._asked: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._status: int | None = None
        self._retry_after: str | None = None
        self._head, self._excerpt = bytearray(), b""
        self._read = 0

    @property
    def is_closing(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._transport is None or self._transport.is_closing()

    @property
    def is_free(self) -> bool:
        """Whether another request would reach the server, which may have answered one that it never reads whole."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not transport.get_write_buffer_size()

    async def ask(self, request: Sequence[bytes], until: float) -> Answer:
        """Send a request and return what is answered by ``until``, a monotonic time in seconds.

        Raises Disconnected, NotHttp, TimeoutError, or what the connection itself failed with.
        """
        if self._transport is None:
            raise Disconnected(has_begun=False)
        loop = asyncio.get_running_loop()
        self._begin()
        asked: asyncio.Future[Answer] = loop.create_future()
        self._asked = asked
        deadline = loop.call_later(max(0.0, until - time.monotonic()), self._time_out)
        self._transport.writelines(request)
        try:
            return await asked
        except BaseException:
            if self._asked is asked:  # else its answer has come whole, and another request may be on the way
                self.close()
            raise
        finally:
            deadline.cancel()

    def close(self) -> None:
        """End it at once; a server that would not say goodbye is not waited for."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the event loop calls it."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take what arrived; the event loop calls it."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._spoil(self._head + data)
            return
        if self._status is None:
            self._head += data
            if len(self._head) > LONGEST_HEAD:
                self._spoil(self._head)
        elif self._asked is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._leave_rest)

    def eof_received(self) -> None:
        """End without an answer, also where a request is not sent whole; the event loop calls it, and ends else."""
        if self._status is None:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell what is known of an answer that is still awaited; the event loop calls it."""
        self._transport = None
        self._stop_waiting()
        self._ended(self)
        if self._status is not None:
            self._tell()
        elif self._asked is not None and not self._asked.done():
            lost = Disconnected(has_begun=bool(self._head))
            lost.__cause__ = error
            self._asked.set_exception(lost)

    def on_message_begin(self) -> None:
        """End where nobody has asked: the next request would take it for its answer."""
        if self._asked is None:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note the one header that is of use."""
        if len(name) == 11 and name.lower() == b"retry-after":
            self._retry_after = value.decode(errors="replace")

    def on_headers_complete(self) -> None:
        """Note the status; before it there may be others, with 1xx, which say nothing."""
        status = self._parser.get_status_code()
        if status < 200:
            self._retry_after = None
            return
        self._status = status
        if status < 300:
            self._tell()

    def on_body(self, body: bytes) -> None:
        """Keep the beginning, and read on to where the next answer begins, if that is not far."""
        self._read += len(body)
        if self._asked is not None and not self._asked.done():
            self._excerpt += body
            if len(self._excerpt) >= self._longest:
                self._tell()
        if self._read > LONGEST_REST:
            self.close()

    def on_message_complete(self) -> None:
        """Serve the next request, where the server will have one."""
        if self._status is None or self._asked is None:
            return
        self._tell()
        self._asked = None
        self._stop_waiting()
        if self._parser.should_keep_alive():
            self._rests(self)
        else:
            self.close()

    def _begin(self) -> None:
        self._status = self._retry_after = None
        self._head, self._excerpt = bytearray(), b""
        self._read = 0

    def _tell(self) -> None:
        """Return what is known to who asked."""
        if self._asked is None or self._asked.done():
            return
        assert self._status is not None
        self._asked.set_result(Answer(self._status, self._retry_after, self._excerpt[: self._longest]))

    def _leave_rest(self) -> None:
        """Wait no longer for the rest of an answer."""
        self._tell()
        self.close()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        if self._status is not None:
            self._tell()
        elif self._asked is not None and not self._asked.done():
            self._asked.set_exception(TimeoutError())

    def _spoil(self, answer: bytearray) -> None:
        """Judge an answer by its status alone, as the rest makes no sense."""
        if self._status is None:
            self._status = status_of(answer)
        if self._status is not None:
            self._tell()
        elif self._asked is not None and not self._asked.done():
            self._asked.set_exception(NotHttp(bytes(answer[: self._longest])))
        self.close()


def status_of(answer: bytes | bytearray) -> int | None:
    """Return the status of an answer, be it ever so broken behind that; heads with 1xx may come before it."""
    place = 0
    while found := _STATUS.match(answer, place):
        status = int(found[1])
        if status >= 200:
            return status
        end = _BLANK_LINE.search(answer, place)
        if end is None:
            return None
        place = end.end()
    return None
