"""Pushes each record to a URL as a CloudEvent and reads the answer as success, retry or rejection.

CloudEvents HTTP binding 1.0, binary mode; which statuses are tried again follows Knative's delivery contract.
It must not retry itself, follow redirects or read more of an answer than it needs for a message.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from yarl import URL

from headrace import config, headers, parsing
from headrace.discreet import discreet, secrets
from headrace.flow.policy import Failed
from headrace.handlers import address, exceptions
from headrace.handlers.connection import Answer, Disconnected, NotHttp
from headrace.handlers.connections import Connections
from headrace.record import CORRELATION_ID_HEADERS, Record

RETRIABLE = frozenset({404, 408, 409, 429})
PASSED_ON = ("traceparent", "tracestate", "baggage")
PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_AS_IT_IS = re.compile(f"[{re.escape(PRINTABLE)}]*")
_ZONE = re.compile(r"%[^]]*")
"""What an IPv6 address has behind it for this side of the connection alone (RFC 6874, 4)."""

DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""The three forms that a date in HTTP may have (RFC 9110, 5.6.7)."""

LONGEST_HEADER = 2048
"""Characters of a header made of what a record carries; servers refuse requests with more than about 8 KB of them."""

OF_COMMAND = ":compensate"
"""What a command's id has behind its record's: for its receiver it is another message."""

IDLE = 408
"""What proxies say on a connection that was idle for too long, as they close it (RFC 9110, 15.5.9)."""

EXCERPT = 300
"""Bytes of an answer that is not 2xx that are read for the failure's text."""

SHOWN = 60
"""Characters told of what is no answer in HTTP."""


class HttpHandler:
    """A handler that posts to one URL over kept-alive connections."""

    def __init__(self, settings: config.Http, *, namespace: str) -> None:
        """Open nothing yet; raises Broken for an address that nobody can be at."""
        url = address.parse(settings.url)
        self._told = discreet(str(url))
        self._secrets = secrets(settings.url)
        self._longest_secret = max(map(len, self._secrets), default=0)
        self._namespace = namespace
        self._timeout = settings.timeout
        self._start = _start(url)
        self._connections = Connections(url, excerpt=EXCERPT + self._longest_secret)

    async def handle(self, record: Record) -> Failed | None:
        """Deliver ``record`` once; None is success."""
        body = record.value or b""
        try:
            answer = await self._deliver((self._head(record, len(body)), body), time.monotonic() + self._timeout)
        except TimeoutError as error:
            text = f"POST {self._told}: no answer in time"
            return Failed(message=text, exception=exceptions.name(error), timed_out=True, unanswered=True)
        except NotHttp as error:
            text = f"POST {self._told}: {error}: {self._discreet(error.excerpt)[:SHOWN]!r}"
            return Failed(message=text, exception=exceptions.name(error), unanswered=True)
        except (OSError, ValueError) as error:
            text = discreet(f"POST {self._told}: {str(error) or type(error).__name__}")
            return Failed(message=text, exception=exceptions.name(error), unanswered=True)
        return judge(answer.status, answer.retry_after, self._discreet(answer.excerpt), now=time.time())

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def _deliver(self, request: Sequence[bytes], until: float) -> Answer:
        """Post once; a second time, on a new connection, when the server had closed the kept one in the meantime."""
        kept = self._connections.kept()
        if kept is not None:
            try:
                answer = await kept.ask(request, until)
            except Disconnected as error:
                if error.has_begun:
                    raise
            else:
                if answer.status != IDLE:
                    return answer
        fresh = await self._connections.open(until)
        return await fresh.ask(request, until)

    def _head(self, record: Record, length: int) -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in event_headers(record, self._namespace).items()]
        return b"%b%bcontent-length: %d\r\n\r\n" % (self._start, "".join(lines).encode("ascii"), length)

    def _discreet(self, excerpt: bytes) -> str:
        """Return the beginning of an answer, without what it repeats of the address's login and query."""
        said = excerpt.decode(errors="replace")
        for secret in self._secrets:
            said = said.replace(secret, "…")
        whole = len(said) if len(excerpt) < EXCERPT + self._longest_secret else len(said) - self._longest_secret
        return discreet(said[:whole])[:EXCERPT]


def _start(url: URL) -> bytes:
    """Return the beginning of each request."""
    host = _ZONE.sub("", url.host_port_subcomponent or "")
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"host: {host}"]
    if url.user is not None or url.password is not None:
        login = f"{url.user or ''}:{url.password or ''}".encode("latin-1")
        lines.append(f"authorization: Basic {b64encode(login).decode()}")
    lines += ["user-agent: headrace", "accept: */*", "accept-encoding: identity", ""]
    return "\r\n".join(lines).encode("ascii")


def event_headers(record: Record, namespace: str) -> dict[str, str]:
    """Return the CloudEvents and Headrace headers of the request that delivers ``record``."""
    source, own, known = record.source, record.message_id, dict(record.headers)
    topic = _encoded(source.topic)
    message_id = _encoded(own) + (OF_COMMAND if record.compensates else "")
    correlation_id = own if known.keys().isdisjoint(CORRELATION_ID_HEADERS) else record.correlation_id
    found = {
        "ce-specversion": "1.0",
        "ce-id": message_id,
        "ce-source": f"/headrace/{namespace}/{topic}",
        "idempotency-key": message_id,
        "correlation-id": _passed(correlation_id.encode()) or message_id,
        "headrace-attempt": str(record.attempt),
        "headrace-topic": topic,
        "headrace-partition": str(source.partition),
        "headrace-offset": str(source.offset),
    }
    told = {
        "ce-type": _encoded(_type(source.topic, known)),
        "ce-subject": _subject(record.key),
        "ce-time": _time(record.timestamp),
        "content-type": None if record.value is None else _content_type(known),
        **(_returned(record) if record.origin or record.compensates else {}),
        **({name: _passed(known.get(name)) for name in PASSED_ON} if known else {}),
    }
    found.update([(name, value) for name, value in told.items() if value])
    return found


def _returned(record: Record) -> dict[str, str | None]:
    """Return what is told of a record that came back through the retry topic."""
    redriven = record.redriven
    return {
        "headrace-redriven": str(redriven) if redriven else None,
        **(_command(record) if record.compensates else {}),
    }


def _command(record: Record) -> dict[str, str | None]:
    """Return what says that the request is to make good for a dead letter, and for which."""
    told = (headers.COMMAND, headers.COMMAND_REASON, headers.COMMAND_ERROR)
    values = (record.header(name) for name in told)
    names = ("headrace-command", "headrace-reason", "headrace-error")
    return {name: _encoded((value or b"").decode(errors="replace")) for name, value in zip(names, values, strict=True)}


def judge(status: int, retry_after: str | None, excerpt: str, *, now: float) -> Failed | None:
    """Say what an answer means, None is success; ``now`` in seconds since 1970 is for a date in Retry-After."""
    if 200 <= status < 300:
        return None
    return Failed(
        message=f"HTTP {status}{': ' if excerpt else ''}{excerpt}",
        exception=f"headrace.http.Status{status}",
        retriable=status in RETRIABLE or not 200 <= status < 500,
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


def _type(topic: str, known: Mapping[str, bytes | None]) -> str:
    for name in ("ce_type", "type", "eventType"):
        value = known.get(name)
        if value and len(value) <= LONGEST_HEADER and _bounded(_encoded(value.decode(errors="replace"))):
            return value.decode(errors="replace")
    return topic.rpartition(".")[2]


def _bounded(header: str) -> str | None:
    return header if len(header) <= LONGEST_HEADER else None


def _content_type(known: Mapping[str, bytes | None]) -> str:
    return _passed(known.get("content-type")) or "application/json"


def _time(timestamp: int | None) -> str | None:
    """Return an RFC 3339 time, or None for one that no calendar has: producers may set any number."""
    if timestamp is None:
        return None
    second, milliseconds = divmod(timestamp, 1000)
    begun = _second(second)
    return begun and f"{begun}.{milliseconds:03}Z"


@lru_cache(maxsize=16)
def _second(number: int) -> str | None:
    """Return a second after 1970 as records come in many of: its RFC 3339 time without the zone."""
    moment = parsing.moment(number * 1000)
    return None if moment is None else moment.replace(tzinfo=None).isoformat(timespec="seconds")


def _passed(value: bytes | None) -> str | None:
    """A header value that may go on as it is: printable ASCII only, so that nothing can be smuggled in."""
    if value is None or len(value) > LONGEST_HEADER or not value.isascii():
        return None
    text = value.decode("ascii")
    return text if text.isprintable() else None


def _encoded(text: str) -> str:
    return text if _AS_IT_IS.fullmatch(text) else quote(text, safe=PRINTABLE)
