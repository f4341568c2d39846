"""Texts that others will read, in a status, an Event, a letter or a log: without what is secret in addresses. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

SHORTEST = 4
"""Characters of a value that is looked for apart from its address: shorter ones are in any text."""

_ADDRESS = re.compile(r"(\b\w+://)(?:[^/?#\s'\"]*@)?([^?#\s'\"]*)(?:[?#][^\s'\"]*)?")


def discreet(text: str) -> str:
    """Return ``text`` with its addresses without user, password, query and fragment."""
    return _ADDRESS.sub(r"\1\2", text) if "://" in text else text


def secrets(url: str) -> tuple[str, ...]:
    """Return what an answer might repeat of ``url`` that `discreet` leaves out of it, as written and decoded."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ()
    login = parts.netloc.rpartition("@")[0].split(":", 1)
    found = [*login, parts.query, parts.fragment, *(value for _, value in parse_qsl(parts.query))]
    either = {one for value in found for one in (value, unquote(value)) if len(one) >= SHORTEST}
    return tuple(sorted(either, key=len, reverse=True))
