"""Pushes each record to a URL as a CloudEvent and reads the answer as success, retry or rejection.

CloudEvents HTTP binding 1.0, binary mode; which statuses are tried again follows Knative's delivery contract.
It must not retry itself, follow redirects or read more of an answer than it needs for a message.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import aiohttp

from headrace import config
from headrace.policy import Failed
from headrace.record import Record

RETRIABLE = frozenset({404, 408, 409, 429})
PASSED_ON = ("traceparent", "tracestate", "baggage")
PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
EXCERPT = 300


class HttpHandler:
    """A handler that posts to one URL over kept-alive connections."""

    def __init__(self, settings: config.Http, *, namespace: str, concurrency: int) -> None:
        self._url = settings.url
        self._namespace = namespace
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=concurrency, keepalive_timeout=30.0),
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def handle(self, record: Record) -> Failed | None:
        """Deliver ``record`` once; None is success."""
        headers = event_headers(record, self._namespace)
        try:
            async with self._session.post(
                self._url, data=record.value or b"", headers=headers, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return None
                excerpt = (await answer.content.read(EXCERPT)).decode(errors="replace")
                return judge(answer.status, answer.headers.get("retry-after"), excerpt, now=time.time())
        except TimeoutError as error:
            return Failed(message=f"POST {self._url}: no answer in time", exception=_name(error), timed_out=True)
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            return Failed(message=f"POST {self._url}: {error or type(error).__name__}", exception=_name(error))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def event_headers(record: Record, namespace: str) -> dict[str, str]:
    """Return the CloudEvents and Headrace headers of the request that delivers ``record``."""
    source = record.source
    message_id = _encoded(record.message_id)
    found: dict[str, str | None] = {
        "ce-specversion": "1.0",
        "ce-id": message_id,
        "ce-source": f"/headrace/{namespace}/{source.topic}",
        "ce-type": _encoded(_type(record)),
        "ce-subject": None if record.key is None else _encoded(record.key.decode(errors="replace")),
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
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except ValueError:
        return None


def _type(record: Record) -> str:
    for name in ("ce_type", "type", "eventType"):
        value = record.header(name)
        if value:
            return value.decode(errors="replace")
    return record.source.topic.rpartition(".")[2]


def _content_type(record: Record) -> str:
    return _passed(record.header("content-type")) or "application/json"


def _time(timestamp: int | None) -> str | None:
    """Return an RFC 3339 time, or None for one that no calendar has: producers may set any number."""
    if timestamp is None:
        return None
    try:
        moment = datetime.fromtimestamp(timestamp / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _passed(value: bytes | None) -> str | None:
    """A header value that may go on as it is: printable ASCII only, so that nothing can be smuggled in."""
    if value is None or not value.isascii():
        return None
    text = value.decode("ascii")
    return text if text.isprintable() else None


def _encoded(text: str) -> str:
    return quote(text, safe=PRINTABLE)


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
