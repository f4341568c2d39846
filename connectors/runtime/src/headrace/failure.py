"""Why and how a record failed, as the headers of a dead letter or a parked record say it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a record was dead-lettered."""

    MAX_ATTEMPTS = "max-attempts"
    NON_RETRIABLE = "non-retriable"
    TIMEOUT = "timeout"
    CRASH = "crash"
    EXPIRED = "expired"
    COMPENSATION_FAILED = "compensation-failed"
    KEY_PARKED = "key-parked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Traced:
    """Where an exception came from: ``FILE, line N``, the last frames, and the qualified name of its cause."""

    location: str
    stack: str
    cause: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why and how a record failed; times in seconds since 1970, ``exception`` is its qualified name.

    ``parks_key``: its key waits, and it is written in the ownership of this name.
    """

    group: str
    reason: Reason
    attempts: int
    message: str
    exception: str
    crashes: int = 0
    status: int | None = None
    first_failed_at: float
    last_failed_at: float
    traced: Traced | None = None
    parks_key: str | None = None


class Past(NamedTuple):
    """How a record was tried before it was parked: ``attempts`` in vain, the next is ``due`` then.

    It fails ``since`` then; both are in seconds since 1970, 0 is not known. It was there ``crashes`` times when its
    pod's process ended, and ended a worker process ``workers`` times.
    """

    attempts: int
    crashes: int = 0
    workers: int = 0
    since: int = 0
    due: int = 0
