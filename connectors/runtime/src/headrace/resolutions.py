"""The keys of the resolutions topic: which dead letter a resolution is about; the same on both sides of the contract.

A key is ``<topic id>/<partition>/<offset>``: a dead-letter topic that was made anew has another id (KIP-516), and what
became of letters of the old one says nothing of its own. A key without an id is a person's, an older Headrace's, or of
a Kafka that has no ids (before 2.8). It counts as long as no other key names a topic that is not there any more.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from typing import NamedTuple

NO_ID = ""
"""In place of the id where a key has none."""

_KEY = re.compile(rb"(?:([A-Za-z0-9_-]{22})/)?([0-9]{1,10})/([0-9]{1,19})")


class Key(NamedTuple):
    """A dead letter: the id of its topic, or NO_ID, and where it lies there."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}".lstrip("/")


def topic_id(most: int, least: int) -> str:
    """Return the id of a topic as Kafka's own tools print it, of its 64 most and 64 least significant bits (signed).

    NO_ID is returned for the id that stands for none. The client's own text has ``/`` and ``+`` in it.
    """
    content = b"".join(half.to_bytes(8, "big", signed=True) for half in (most, least))
    return urlsafe_b64encode(content).decode().rstrip("=") if any(content) else NO_ID


def decode(content: bytes | None) -> Key | None:
    """Read the key of a resolution; None when it is none, as a foreign record resolves nothing."""
    found = _KEY.fullmatch(content or b"")
    return None if found is None else Key((found[1] or b"").decode(), int(found[2]), int(found[3]))
