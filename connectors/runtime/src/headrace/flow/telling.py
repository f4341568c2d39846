"""One line of the log for a failed attempt. Pure."""

from __future__ import annotations

import hashlib

from headrace.flow.masking import masked
from headrace.flow.policy import Failed
from headrace.record import Record

KEY_DIGITS = 12
"""Hexadecimal digits of a key's SHA-256 in the log."""


def told(record: Record, attempt: int, failed: Failed) -> str:
    """Return what a log may have of a failed attempt: neither the record's key nor what is quoted of its value."""
    key = "-" if record.key is None else hashlib.sha256(record.key).hexdigest()[:KEY_DIGITS]
    at = f" ({failed.traced.location})" if failed.traced and failed.traced.location else ""
    place = "{}/{}@{}".format(*record.source)
    known = f"attempt={attempt} record={place} key={key} id={record.message_id} exception={failed.exception}"
    return f"{known}: {masked(failed.message, record)}{at}"
