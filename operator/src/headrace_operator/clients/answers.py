"""Answers over HTTP, read in one place: the JSON of a success, or the error in the operator's own terms.

It must not know what is asked, nor of whom.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from headrace_operator.clients import errors

LONGEST = 300
"""Characters of an answer that is no JSON that an error quotes."""


def read(
    what: str,
    who: str,
    status: int,
    body: bytes,
    *,
    conflict: type[errors.Retryable] = errors.Conflict,
    say: Callable[[str], str] = str,
) -> Any:
    """Return the JSON that ``who`` answered to ``what``, None for an empty body; raises `HeadraceError`.

    ``say`` takes from the words of a failure what nobody shall read.

    A redirect is an error: requests carry configurations and credentials, so that no client follows it.
    """
    if status >= 300:
        raise _failure(what, f"{who} answered {status}: {say(_said(body))}", status, conflict)
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError) as error:
        text = f"{what}: {who} answered {status} with something that is not JSON: {_text(body)}. Check the address."
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


def _said(body: bytes) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return _text(body)
    return str(said.get("message", "")) if isinstance(said, dict) else _text(body)


def _text(body: bytes) -> str:
    return body.decode(errors="replace")[:LONGEST]
