"""What Kafka was seen to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from headrace_operator.observed.value import Unknown

Partition = tuple[str, int]
"""A topic and the number of a partition."""


@dataclass(frozen=True, kw_only=True)
class ClusterSeen:
    """A Kafka that answers; ``group_protocols`` are None where the login may not read the brokers' configuration."""

    cluster_id: str
    brokers: int
    group_protocols: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class TopicSeen:
    """A topic, its number of partitions and of replicas, and the ``id`` that differs when it was made anew."""

    name: str
    partitions: int
    id: str = ""
    replicas: int | None = None


@dataclass(frozen=True, kw_only=True)
class CapturedSeen:
    """Of a connector's topics those that were ``missing`` just now, and how large a record others take, in bytes.

    The ``sizes`` are those of topics that were asked about.
    """

    missing: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SettingsSeen:
    """Settings of topics by name, as they were when last looked at; ``fresh`` says that it was just now."""

    of: Mapping[str, Mapping[str, str] | Unknown]
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class Span:
    """The offsets ``start`` (included) to ``end`` (excluded) of a partition."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class PodLoad:
    """What a ``pod`` tells of the ``seconds`` until ``end``: what share of its concurrency was ``busy``, from 0 to 1.

    It ``handled`` so many records, and ``parked`` keys go through the retry topic. ``throttled``: its target takes
    fewer at once than it may be given. Its target has ``failed_since`` then, by this ``cause``, None while it takes
    records. An ``idle`` pod has nothing to do, and tells nothing more until it has.
    """

    pod: str
    end: datetime
    seconds: float
    busy: float
    handled: int
    parked: int = 0
    throttled: bool = False
    failed_since: datetime | None = None
    cause: str = ""
    idle: bool = False


class StopSeen(NamedTuple):
    """The dead letter that a partition stands behind, as ``headrace dlq`` names it, and its record's offset."""

    letter: str
    offset: int


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What a group has committed of a partition: the next offset to handle, and what its member told with it.

    ``done`` offsets beyond it need no more work, ``retrying`` keys failed and are tried again, and ``held`` records
    wait with them; 0 where the member tells nothing. ``load`` is told with one partition of each member, and
    ``stopped`` where the partition stands behind a dead letter; ``waiting_keys`` wait behind one of theirs.
    ``origin`` is the UID of the namespace whose Consumer's pod committed it; empty where that is not told.
    """

    offset: int
    done: int = 0
    retrying: int = 0
    held: int = 0
    load: PodLoad | None = None
    stopped: StopSeen | None = None
    waiting_keys: int = 0
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordSeen:
    """Where a record lies, and its key; ``empty`` is a record without a value; ``value`` is None unless asked for."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    empty: bool
    value: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class LogSeen:
    """Committed records in order within each partition, and the next offset to read of each."""

    records: tuple[RecordSeen, ...]
    reached: Mapping[Partition, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionSeen:
    """Offsets of one partition, in the order of the log: ``start``, ``committed``, ``stable``, ``end``.

    ``committed`` is None before a first commit; it is ``lost`` where it lies outside of the log. From ``stable`` on
    records lie behind a transaction that its producer has not ended; None is ``end``. ``done``, ``retrying`` and
    ``held`` are as in `Committed`. ``waiting`` counts the records not handled where they were read; None takes every
    offset for a record, so that the markers of transactions count as well. ``lag_seconds`` is how long the oldest
    record waits, None when not known; with ``at_least`` it waits that long or longer. ``stopped`` and ``waiting_keys``
    are as in `Committed`. From these follow ``next``, the next offset to handle, and ``lag``, the records not handled
    yet, which are asked for dozens of times in a pass.
    """

    topic: str
    partition: int
    start: int
    end: int
    committed: int | None
    lag_seconds: float | None
    at_least: bool = False
    waiting: int | None = None
    stable: int | None = None
    done: int = 0
    retrying: int = 0
    held: int = 0
    lost: bool = False
    stopped: StopSeen | None = None
    waiting_keys: int = 0
    next: int = field(init=False, repr=False, compare=False)
    lag: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at = self.start if self.committed is None or self.lost else max(self.committed, self.start)
        left = max(0, self.end - at - self.done)
        object.__setattr__(self, "next", at)
        object.__setattr__(self, "lag", left if self.waiting is None else min(left, self.waiting))

    @property
    def told_lag(self) -> int | None:
        """What is told of it: not that no record waits, where the committed offset is lost."""
        return None if self.lost and self.lag == 0 else self.lag

    @property
    def workable(self) -> int:
        """Records that could be handled now: not those of keys that fail, nor what nobody may read yet, nor stands."""
        if self.lost or self.stopped:
            return 0
        stable = self.end if self.stable is None else self.stable
        return max(0, min(self.lag, stable - self.next - self.done) - self.held)

    @property
    def is_blocked(self) -> bool:
        """Whether the oldest record that waits lies behind a transaction that its producer has not ended."""
        return self.stable is not None and self.next >= self.stable < self.end


@dataclass(frozen=True, kw_only=True)
class BacklogSeen:
    """The backlog of one consumer group at ``at``.

    Counts of dead letters are None when not known; ``dead_letters_unknown`` says why, or why they may be old. ``loads``
    has one of each pod that owns partitions and has told how it is of late. ``origins`` are the UIDs of the namespaces
    of whose Consumers its commits are.
    """

    at: datetime
    partitions: tuple[PartitionSeen, ...]
    dead_letters_total: int | None = None
    dead_letters_outstanding: int | None = None
    dead_letters_unknown: str | None = None
    loads: tuple[PodLoad, ...] = ()
    origins: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Load:
    """One partition over the last seconds; partitions with the same ``number`` belong to the same replica.

    ``arrivals`` and ``handled`` are records a second; ``waiting`` records could be handled now, ``waited_before`` at
    the beginning. The oldest of them waits for ``oldest`` seconds, and did so for ``behind`` all through. A partition
    is ``failing`` where more keys are tried again than records were finished.
    """

    number: int
    arrivals: float
    handled: float
    waiting: int
    waited_before: int
    oldest: float
    behind: float
    failing: bool


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Records per second measured over the last seconds, together and of each partition; None when not known.

    They are not known yet after the ``first`` look, which there is nothing to compare with. The same number of replicas
    has been ready for ``steady_seconds``. Records are ``failing`` when more keys are tried again than records were
    finished meanwhile, and have ``failed`` when it was so between any two looks.
    """

    arrivals: float | None
    handled: float | None
    loads: tuple[Load, ...] = ()
    steady_seconds: float = 0.0
    failing: bool = False
    failed: bool = False
    first: bool = False


TopicsSeen = Mapping[str, TopicSeen]
"""Topics that exist, by name; a name that is missing was seen not to exist."""
