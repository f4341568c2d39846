"""Reads what anybody may have written into a record: numbers, texts, names, ids and times.

Pure. Whatever the bytes are, nothing in here raises or answers with more than it was asked for; None is "not that".
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

INT32, INT64 = 2**31 - 1, 2**63 - 1

LONGEST_ID = 512
"""Bytes of an id; a longer one is told by its digest, so that it fits in a header wherever it goes."""

_DIGITS = re.compile(rb"-?[0-9]{1,19}")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_WIDTHS = (4, 8)
_MARKS = ("hex:", "digest:")


def digits(value: bytes | None, *, least: int = 0, most: int = INT64) -> int | None:
    """Return the integer that ``value`` is in decimal digits, when it lies from ``least`` to ``most``."""
    if value is None or not _DIGITS.fullmatch(value):
        return None
    found = int(value)
    return found if least <= found <= most else None


def integer(value: bytes | None, *, least: int = 0, most: int = INT64) -> int | None:
    """Return the integer that ``value`` is in digits, or big-endian in four or eight bytes as Java writes it."""
    found = digits(value, least=least, most=most)
    if found is not None or value is None or len(value) not in _WIDTHS:
        return found
    binary = int.from_bytes(value, "big", signed=True)
    return binary if least <= binary <= most else None


def text(value: bytes | None, most: int) -> str | None:
    """Return ``value`` as text of at most ``most`` characters; what is not UTF-8 is replaced."""
    return None if value is None else value[: 4 * most].decode(errors="replace")[:most]


def topic(value: bytes | None) -> str | None:
    """Return the name of a topic that Kafka would take."""
    found = text(value, 250)
    return found if found and _TOPIC.fullmatch(found) else None


def identifier(value: bytes) -> str:
    """Return an id as printable text, a different one for each value.

    Text stays as it is; other bytes are ``hex:…``, and what is too long is ``digest:…``, its SHA-256.
    """
    if len(value) <= LONGEST_ID:
        found = value.decode(errors="replace")
        if found.isprintable() and found.encode() == value and not found.startswith(_MARKS):
            return found
    if len("hex:") + 2 * len(value) <= LONGEST_ID:
        return f"hex:{value.hex()}"
    return f"digest:{hashlib.sha256(value).hexdigest()}"


def moment(milliseconds: float | None) -> datetime | None:
    """Return the time that is so many milliseconds after 1970; None also for one that no calendar has."""
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
