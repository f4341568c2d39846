"""Pushes each record to a URL as a CloudEvent and reads the answer as success, retry or rejection.

CloudEvents HTTP binding 1.0, binary mode; which statuses are tried again follows Knative's delivery contract.
It must not retry itself, follow redirects or read more of an answer than it needs for a message.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from aiohttp.tracing import Trace
from yarl import URL

from headrace import config, parsing
from headrace.flow.policy import Failed
from headrace.handlers import Broken
from headrace.record import Record

RETRIABLE = frozenset({404, 408, 409, 429})
PASSED_ON = ("traceparent", "tracestate", "baggage")
PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""The three forms that a date in HTTP may have (RFC 9110, 5.6.7)."""

LONGEST_HEADER = 2048
"""Characters of a header made of what a record carries; servers refuse requests with more than about 8 KB of them."""

LONGEST_LINE, MOST_HEADERS = 1024 * 1024, 10_000
"""Bytes of a line of an answer's head and the number of its headers, beyond which the status is not told."""

EXCERPT, EXCERPT_TIME = 300, 1.0
"""Bytes of an answer that is not 2xx that are read for the failure's text, and the seconds these may take."""

ADDRESS = re.compile(r"(\w+://)(?:[^/?#\s'\"]*@)?([^?#\s'\"]*)(?:[?#][^\s'\"]*)?")


class HttpHandler:
    """A handler that posts to one URL over kept-alive connections."""

    def __init__(self, settings: config.Http, *, namespace: str, concurrency: int) -> None:
        """Open nothing yet; raises Broken for an address that nobody can be at."""
        self._url = _address(settings.url)
        self._namespace = namespace
        timeout = aiohttp.ClientTimeout(total=settings.timeout)
        self._kept = _session(_Connector(limit=concurrency, keepalive_timeout=30.0), timeout)
        self._fresh = _session(_Connector(limit=concurrency, force_close=True), timeout)

    async def handle(self, record: Record) -> Failed | None:
        """Deliver ``record`` once; None is success."""
        headers = event_headers(record, self._namespace)
        try:
            return await self._deliver(record.value or b"", headers)
        except TimeoutError as error:
            text = f"POST {discreet(str(self._url))}: no answer in time"
            return Failed(message=text, exception=_name(error), timed_out=True)
        except (aiohttp.ClientError, OSError, EOFError, ValueError) as error:
            text = discreet(f"POST {self._url}: {str(error) or type(error).__name__}")
            return Failed(message=text, exception=_name(error))

    async def close(self) -> None:
        """Close the connections."""
        await self._kept.close()
        await self._fresh.close()

    async def _deliver(self, body: bytes, headers: dict[str, str]) -> Failed | None:
        """Post once; a second time, on a new connection, when the server had closed the kept one in the meantime."""
        try:
            return await self._post(self._kept, body, headers)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not _reused.get() or _has_begun(error):
                raise
        return await self._post(self._fresh, body, headers)

    async def _post(self, session: aiohttp.ClientSession, body: bytes, headers: dict[str, str]) -> Failed | None:
        """Post and judge by the status alone; what becomes of the rest of the answer changes nothing."""
        answer = await session.post(self._url, data=body, headers=headers, allow_redirects=False)
        try:
            if 200 <= answer.status < 300:
                return None
            excerpt = await _excerpt(answer)
            return judge(answer.status, answer.headers.get("retry-after"), excerpt, now=time.time())
        finally:
            answer.release()


_reused: ContextVar[bool] = ContextVar("reused", default=False)
"""Whether the last request of this task went over a connection that was used before."""


class _Protocol(ResponseHandler):
    """A connection that tells the status of an answer whatever follows its head, also when both arrive at once."""

    used = False
    _is_told = False

    def set_response_params(self, **settings: Any) -> None:
        """Begin to wait for an answer."""
        self._is_told = False
        super().set_response_params(**settings)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Tell the head of an answer; those with 1xx come before it."""
        self._is_told = data[0].code >= 200
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take what arrived, the head line by line: a body that makes no sense then spoils the body only."""
        start = 0
        while not self._is_told and (end := data.find(b"\n", start) + 1):
            super().data_received(data[start:end])
            start = end
        if start == 0 or start < len(data):
            super().data_received(data[start:])


class _Connector(aiohttp.TCPConnector):
    """Notes for the task that asks whether it was given a connection that was used before."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._factory = partial(_Protocol, loop=self._loop)  # type: ignore[assignment]

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        """Return a connection, new or kept; on a kept one nothing came since its answer: it would be taken for ours."""
        while True:
            _reused.set(False)
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert isinstance(protocol, _Protocol)
            if not (protocol.used and protocol.should_close):
                _reused.set(protocol.used)
                protocol.used = True
                return connection
            connection.close()


def _address(url: str) -> URL:
    try:
        found = URL(url)
        if found.scheme not in ("http", "https") or not found.host:
            raise ValueError("it has no host")
        if any(character.isspace() or not character.isprintable() for character in found.host):
            raise ValueError("its host has a space or a control character")
        found.host.encode("idna")
    except ValueError as error:
        text = f"{discreet(url)!r} is no address that a request can be sent to: {discreet(str(error))}"
        raise Broken(f"{text}: spec.handler.http.url") from error
    return found


def _session(connector: aiohttp.TCPConnector, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("content-type",),
        headers={"accept-encoding": "identity"},
        auto_decompress=False,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
        max_headers=MOST_HEADERS,
    )


def _has_begun(error: aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) -> bool:
    """Whether something of an answer came before the connection ended; then the client tells what it was."""
    return isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)


async def _excerpt(answer: aiohttp.ClientResponse) -> str:
    try:
        async with asyncio.timeout(EXCERPT_TIME):
            return (await answer.content.read(EXCERPT)).decode(errors="replace")
    except (TimeoutError, aiohttp.ClientError, OSError, EOFError, ValueError):
        return ""


def discreet(text: str) -> str:
    """Return ``text`` with its addresses without user, password and query: letters and logs are read by others."""
    return ADDRESS.sub(r"\1\2", text)


def event_headers(record: Record, namespace: str) -> dict[str, str]:
    """Return the CloudEvents and Headrace headers of the request that delivers ``record``."""
    source = record.source
    message_id = _encoded(record.message_id)
    found: dict[str, str | None] = {
        "ce-specversion": "1.0",
        "ce-id": message_id,
        "ce-source": f"/headrace/{namespace}/{source.topic}",
        "ce-type": _encoded(_type(record)),
        "ce-subject": _subject(record.key),
        "ce-time": _time(record.timestamp),
        "content-type": None if record.value is None else _content_type(record),
        "idempotency-key": message_id,
        "correlation-id": _passed(record.correlation_id.encode()) or message_id,
        "headrace-attempt": str(record.attempt),
        "headrace-redriven": str(record.redriven) if record.redriven else None,
        "headrace-topic": source.topic,
        "headrace-partition": str(source.partition),
        "headrace-offset": str(source.offset),
        **{name: _passed(record.header(name)) for name in PASSED_ON},
    }
    return {name: value for name, value in found.items() if value}


def judge(status: int, retry_after: str | None, excerpt: str, *, now: float) -> Failed:
    """Say what an answer that is not 2xx means; ``now`` in seconds since 1970 is for a date in Retry-After."""
    return Failed(
        message=f"HTTP {status}{': ' if excerpt else ''}{excerpt}",
        exception=f"headrace.http.Status{status}",
        retriable=status in RETRIABLE or status >= 500,
        after=_seconds(retry_after, now),
        status=status,
    )


def _seconds(retry_after: str | None, now: float) -> float | None:
    """Return for how long to wait: 0 for a time that is past, None for what is neither seconds nor a date."""
    text = (retry_after or "").strip()
    seconds = parsing.digits(text.encode(errors="replace"))
    return _until(text, now) if seconds is None else float(seconds)


def _until(date: str, now: float) -> float | None:
    for form in DATES:
        try:
            return max(0.0, datetime.strptime(date, form).replace(tzinfo=UTC).timestamp() - now)
        except (ValueError, OverflowError):
            continue
    return None


def _subject(key: bytes | None) -> str | None:
    return None if key is None else _bounded(_encoded(key[: LONGEST_HEADER + 1].decode(errors="replace")))


def _type(record: Record) -> str:
    for name in ("ce_type", "type", "eventType"):
        value = record.header(name)
        if value and len(value) <= LONGEST_HEADER and _bounded(_encoded(value.decode(errors="replace"))):
            return value.decode(errors="replace")
    return record.source.topic.rpartition(".")[2]


def _bounded(header: str) -> str | None:
    return header if len(header) <= LONGEST_HEADER else None


def _content_type(record: Record) -> str:
    return _passed(record.header("content-type")) or "application/json"


def _time(timestamp: int | None) -> str | None:
    """Return an RFC 3339 time, or None for one that no calendar has: producers may set any number."""
    moment = parsing.moment(timestamp)
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _passed(value: bytes | None) -> str | None:
    """A header value that may go on as it is: printable ASCII only, so that nothing can be smuggled in."""
    if value is None or len(value) > LONGEST_HEADER or not value.isascii():
        return None
    text = value.decode("ascii")
    return text if text.isprintable() else None


def _encoded(text: str) -> str:
    return quote(text, safe=PRINTABLE)


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
