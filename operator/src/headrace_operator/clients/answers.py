"""Answers over HTTP, read in one place: the JSON of a success, or the error in the operator's own terms.

It must not know what is asked, nor of whom.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pydantic_core

from headrace_operator.clients import errors

LONGEST = 300
"""Characters of an answer that is no JSON that an error quotes."""

CHANGING = re.compile(r"\S*\d\S*")
"""Words of such an answer that may be others each time (times, numbers of requests): a status would never rest."""

PLAIN = {"Accept-Encoding": "identity"}
"""What a request says so that the length of the answer is what it takes in memory."""

MOST = 500_000
"""Commas of an answer that is read: values take up to a hundred times their text in memory."""


async def body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read an answer of at most ``most`` bytes; raises ``ValueError`` for a longer or a packed one, and closes it."""
    parts, size = [], 0
    try:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise ValueError("is packed, though that was not asked for")
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > most:
                raise ValueError(f"is longer than {most // 2**20} MiB")
    except BaseException:
        response.close()
        raise
    return b"".join(parts)


async def page(session: aiohttp.ClientSession, at: str, who: str, deadline: float, most: int) -> tuple[int, bytes]:
    """Return status and text, of at most ``most`` bytes, of what ``who`` answers at an address of ours.

    Raises `Unreachable` also where that takes more than ``deadline`` seconds.
    """
    try:
        within = aiohttp.ClientTimeout(total=deadline)
        async with session.get(at, timeout=within, headers=PLAIN, allow_redirects=False) as response:
            return response.status, await body(response, most)
    except TimeoutError as error:
        raise errors.Unreachable(f"GET {at}: {who} did not answer within {deadline:.0f} s.") from error
    except (OSError, aiohttp.ClientError) as error:
        raise errors.Unreachable(f"GET {at}: {who} did not answer: {str(error) or repr(error)}.") from error
    except ValueError as error:
        raise errors.Unreachable(f"GET {at}: {who}'s answer {error}, and was not read.") from error


@dataclass(frozen=True, kw_only=True)
class Server:
    """Who answers, what its 409 means, and how many commas are read of its success.

    ``say`` takes from the words of a failure what nobody shall read.
    """

    name: str
    conflict: type[errors.Retryable] = errors.Conflict
    say: Callable[[str], str] = str
    most: int = MOST


def read(what: str, who: Server, status: int, body: bytes) -> Any:
    """Return the JSON that ``who`` answered to ``what``, None for an empty body; raises `HeadraceError`.

    A redirect is an error: requests carry configurations and credentials, so that no client follows it.
    """
    if status >= 300:
        raise _failure(what, f"{who.name} answered {status}: {who.say(_said(body))}", status, who.conflict)
    try:
        return _json(body, who.most) if body else None
    except (ValueError, RecursionError) as error:
        text = (
            f"{what}: {who.name} answered {status} with something that is not JSON: {_text(body)}. Check the address."
        )
        raise errors.Unreachable(text) from error


def _failure(what: str, said: str, status: int, conflict: type[errors.Retryable]) -> errors.HeadraceError:
    if status < 400:
        text = f"{what}: {said} It redirects, which is not followed: give the address that answers itself."
        return errors.Unreachable(text)
    kinds: dict[int, type[errors.HeadraceError]] = {
        401: errors.Unauthorized,
        403: errors.Unauthorized,
        404: errors.Missing,
        409: conflict,
        429: errors.Busy,
    }
    return kinds.get(status, errors.Invalid if status < 500 else errors.Unreachable)(f"{what}: {said}")


def _json(body: bytes, most: int = MOST) -> Any:
    """Return what was said, which has no number that JSON does not have; raises ``ValueError``."""
    if body.count(b",") > most:
        raise ValueError(f"more than {most} values")
    return pydantic_core.from_json(body, allow_inf_nan=False)


def _said(body: bytes) -> str:
    try:
        said = _json(body)
    except (ValueError, RecursionError):
        return _text(body)
    return str(said.get("message", "")) if isinstance(said, dict) else _text(body)


def _text(body: bytes) -> str:
    return CHANGING.sub("…", body[: 4 * LONGEST].decode(errors="replace"))[:LONGEST]
