"""What a plan may ask for: each action is one dull write, done in order, stopping at the first failure.

Nothing here decides and nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from headrace_operator.observed.kube import Manifest


@dataclass(frozen=True, kw_only=True)
class Apply:
    """Make this object exist exactly so (server-side apply, field manager ``headrace``)."""

    manifest: Manifest


@dataclass(frozen=True, kw_only=True)
class CreateTopic:
    """Make a topic on the Kafka of a KafkaConnection; one that exists already is well.

    Without ``replicas`` it has as many as the brokers give.
    """

    namespace: str
    kafka: str
    topic: str
    partitions: int
    replicas: int | None = None
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AlterTopic:
    """Set these settings of a topic on the Kafka of a KafkaConnection; its others stay."""

    namespace: str
    kafka: str
    topic: str
    config: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class GrowTopic:
    """Add partitions to a topic on the Kafka of a KafkaConnection until it has so many; one that has them is well."""

    namespace: str
    kafka: str
    topic: str
    partitions: int


@dataclass(frozen=True, kw_only=True)
class SendSignal:
    """Tell a connector, by its ``key``, to do something about a snapshot; ``value`` is JSON."""

    namespace: str
    kafka: str
    topic: str
    key: str
    value: str


@dataclass(frozen=True, kw_only=True)
class PutConnector:
    """Create or update a connector on the Connect at ``url``; with ``initial`` create it in that state."""

    url: str
    connector: str
    config: Mapping[str, str]
    initial: Literal["PAUSED", "STOPPED"] | None = None


@dataclass(frozen=True, kw_only=True)
class SetState:
    """Pause, stop or resume a connector."""

    url: str
    connector: str
    verb: Literal["pause", "stop", "resume"]


@dataclass(frozen=True, kw_only=True)
class RestartConnector:
    """Restart a connector and its tasks; ``only_failed`` leaves running tasks alone."""

    url: str
    connector: str
    only_failed: bool


@dataclass(frozen=True, kw_only=True)
class ChangeOffsets:
    """Make these the source offsets of a stopped connector, as Kafka Connect tells them; None removes all it has."""

    url: str
    connector: str
    offsets: tuple[Mapping[str, Any], ...] | None


@dataclass(frozen=True, kw_only=True)
class RemoveConnector:
    """Remove a connector that is marked as ours and whose resource a live read said is gone."""

    url: str
    connector: str


@dataclass(frozen=True, kw_only=True)
class SetLogLevel:
    """Set the level of a logger, and of all whose names begin with its name, at the one worker at ``url``."""

    url: str
    logger: str
    level: str


@dataclass(frozen=True, kw_only=True)
class Remove:
    """Delete this very object of ours, which nothing needs any more; one that is gone is well."""

    kind: str
    namespace: str
    name: str
    uid: str


Action = (
    Apply
    | CreateTopic
    | AlterTopic
    | GrowTopic
    | SendSignal
    | PutConnector
    | SetState
    | RestartConnector
    | ChangeOffsets
    | RemoveConnector
    | SetLogLevel
    | Remove
)


@dataclass(frozen=True, kw_only=True)
class Note:
    """A Kubernetes Event on the resource, posted on a transition only."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do about one resource: ``status`` is the whole status as JSON, recorded before the actions run."""

    actions: tuple[Action, ...]
    status: Mapping[str, Any]
    notes: tuple[Note, ...] = ()
    look_again: timedelta = timedelta(seconds=30)
