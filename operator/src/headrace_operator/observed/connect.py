"""What Kafka Connect was seen to say over REST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PluginSeen:
    """A connector plug-in the workers offer."""

    class_name: str
    version: str
    type: str


Offsets = tuple[Mapping[str, Any], ...] | None
"""Where a source stands, as Kafka Connect tells it; None when it could not."""


@dataclass(frozen=True, kw_only=True)
class TaskSeen:
    """One task; ``state`` is UNASSIGNED, RUNNING, PAUSED, FAILED or RESTARTING; ``trace`` only when FAILED."""

    id: int
    state: str
    worker: str | None
    trace: str | None


@dataclass(frozen=True, kw_only=True)
class ConnectorSeen:
    """A connector with its configuration and status; ``state`` may also be STOPPED, ``lag`` is in seconds."""

    name: str
    config: Mapping[str, str]
    state: str
    trace: str | None
    tasks: tuple[TaskSeen, ...]
    offsets: Offsets = None
    topics: tuple[str, ...] | None = None
    lag: float | None = None


@dataclass(frozen=True, kw_only=True)
class WorkersSeen:
    """Workers that answer: version, plug-ins, and every connector on them by name."""

    version: str
    kafka_cluster_id: str
    plugins: tuple[PluginSeen, ...]
    connectors: Mapping[str, ConnectorSeen]


@dataclass(frozen=True, kw_only=True)
class LoggersSeen:
    """The level of each logger that a worker has, by name; `untouched`: none was changed since it started."""

    levels: Mapping[str, str]
    untouched: bool


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """Why Connect refuses one property."""

    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Connect's answer about a configuration; no errors means that it would run."""

    errors: tuple[FieldError, ...]
