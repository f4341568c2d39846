"""What resolutions say: the values of the resolutions topic, of which `headrace.resolutions` has the keys. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

LATE = "written-late"
"""What the resolution of a letter says that counts for nothing."""

_DOCUMENT = TypeAdapter(dict[str, object])


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What became of a dead letter; its retry record was sent to ``retry_topic``, ``retry_partition``."""

    by: str
    at: datetime
    redrive_id: str
    retry_topic: str
    retry_partition: int

    def to_json(self) -> bytes:
        """Return the value of the record in the resolutions topic."""
        retry = {"topic": self.retry_topic, "partition": self.retry_partition}
        return _value("redriven", self.by, self.at, redriveId=self.redrive_id, retry=retry)


def written_late(at: datetime) -> bytes:
    """Return the resolution of a letter that an owner before wrote late, whose record others have."""
    return _value(LATE, "headrace", at)


def is_late(resolution: bytes) -> bool:
    """Whether it is such a resolution."""
    return LATE.encode() in resolution and document(resolution).get("action") == LATE


def document(resolution: bytes) -> dict[str, object]:
    """Return what a resolution says, whoever wrote it."""
    try:
        return _DOCUMENT.validate_json(resolution)
    except ValidationError:
        return {"action": "resolved by something that is not Headrace"}


def _value(action: str, by: str, at: datetime, **more: object) -> bytes:
    said = {"action": action, "by": by, "at": at.isoformat(timespec="milliseconds"), **more}
    return json.dumps(said, separators=(",", ":")).encode()
