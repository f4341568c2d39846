"""Answers ``/healthz``, ``/readyz`` and ``/metrics`` of a pod; whether it is well, the process in it says.

It speaks as much of HTTP/1.1 (RFC 9112) as is asked of a pod: GET and HEAD, one on each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Answer = tuple[bool, str]
"""Whether it is well, and the words for it."""

NONE: Mapping[str, Callable[[], str]] = {}

LIMIT = 10.0
"""Seconds in which a request is read and its response taken."""

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Response:
    """What a path says now."""

    body: bytes
    content_type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK


async def serve(
    alive: Callable[[], Answer],
    ready: Callable[[], Answer],
    registry: CollectorRegistry,
    port: int,
    documents: Mapping[str, Callable[[], str]] = NONE,
) -> asyncio.Server:
    """Listen on ``port`` of all addresses until the server is closed. Raises ``OSError`` when it is taken.

    ``documents`` makes the JSON that further paths answer.
    """
    pages: dict[str, Callable[[], Response]] = {
        "/healthz": lambda: _said(*alive()),
        "/readyz": lambda: _said(*ready()),
        "/metrics": lambda: Response(generate_latest(registry), CONTENT_TYPE_LATEST),
        **{path: partial(_document, make) for path, make in documents.items()},
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = (OSError, EOFError, asyncio.LimitOverrunError)  # a time-out is an OSError
        try:
            with suppress(*gone):
                async with asyncio.timeout(LIMIT):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_answer(head, pages))
                    await writer.drain()
        finally:
            writer.close()

    return await asyncio.start_server(answer, port=port)


def _answer(head: bytes, pages: Mapping[str, Callable[[], Response]]) -> bytes:
    """Return the bytes that answer a request with this head."""
    match head.partition(b"\r\n")[0].decode("latin-1").split(" "):
        case ["GET" | "HEAD" as method, target, _]:
            page = pages.get(target.partition("?")[0], partial(_refusal, HTTPStatus.NOT_FOUND))
            return _sent(page(), has_body=method == "GET")
        case [_, _, _]:
            return _sent(_refusal(HTTPStatus.NOT_IMPLEMENTED))
        case _:
            return _sent(_refusal(HTTPStatus.BAD_REQUEST))


def _sent(response: Response, *, has_body: bool = True) -> bytes:
    lines = (
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + response.body * has_body


def _said(good: bool, text: str) -> Response:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(f"{text}\n".encode(), status=status)


def _document(make: Callable[[], str]) -> Response:
    return Response(make().encode(), "application/json")


def _refusal(status: HTTPStatus) -> Response:
    return Response(f"{status.phrase}\n".encode(), status=status)
