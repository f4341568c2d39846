"""What a connector was seen to tell of snapshots, and what it was told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Notification:
    """What Debezium tells once: ``about`` is the kind of snapshot, ``event`` what became of it, ``data`` the rest."""

    id: str
    about: str
    event: str
    at: datetime
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TopicsOfSnapshots:
    """What the topics of signals and of notifications hold, and the next offset of each.

    ``signals`` are the ids and types of what was sent, None where not all were read, and ``notifications`` what was
    told, from the offsets on that were recorded; ``read`` is the next notification to read.
    """

    signals_end: int
    notifications_end: int
    signals: frozenset[tuple[str, str]] | None = frozenset()
    notifications: tuple[Notification, ...] = ()
    read: int = 0
