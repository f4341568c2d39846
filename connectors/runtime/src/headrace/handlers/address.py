"""The address that a handler posts to: judged once, at the start, and told without what is secret in it. Pure."""

from __future__ import annotations

import ipaddress
import re

from yarl import URL

from headrace.discreet import discreet
from headrace.handlers import Broken

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NUMBER = re.compile(r"(?:.*\.)?[0-9]+\.?")
"""A host whose last part is a number is an IPv4 address, or none at all (WHATWG URL, 3.5)."""


def parse(url: str) -> URL:
    """Return ``url``; raises Broken for an address that nobody can be at."""
    try:
        found = URL(url)
        if found.scheme not in ("http", "https") or not found.host:
            raise ValueError("it has no host")
        _check_host(found.host)
        if found.port == 0:
            raise ValueError("no server has port 0")
        f"{found.user}{found.password}".encode("latin-1")
    except (ValueError, IndexError) as error:
        text = f"{discreet(url)!r} is no address that a request can be sent to: {discreet(_reason(error))}"
        raise Broken(f"{text}: spec.handler.http.url") from error
    return found


def _check_host(host: str) -> None:
    if ":" in host or _NUMBER.fullmatch(host):
        ipaddress.ip_address(host)
        return
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError("its host has a space or a control character")
    if not _NAME.fullmatch(host.encode("idna").decode()):
        raise ValueError("its host has a character that no name has")


def _reason(error: ValueError | IndexError) -> str:
    """Return what is wrong; of a login that HTTP cannot carry, nothing of the login."""
    if isinstance(error, IndexError):
        return "its host makes no sense"
    if isinstance(error, UnicodeEncodeError) and error.encoding == "latin-1":
        return "its login has a character beyond Latin-1"
    return str(error)
