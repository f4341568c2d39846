"""Debezium's notifications and signals as JSON, as they stand in topics. It decides nothing.

Source: Debezium's `SinkNotificationChannel`; with ``schemas.enable`` a converter wraps what it writes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ValidationError, model_validator

from headrace_operator.observed.snapshots import Notification


class _Told(BaseModel):
    id: str
    aggregate_type: str
    type: str
    timestamp: int = 0
    additional_data: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, found: Any) -> Any:
        wrapped = isinstance(found, dict) and isinstance(found.get("payload"), dict)
        return found["payload"] if wrapped else found


class _Sent(BaseModel):
    id: str
    type: str


def notification(value: bytes | None) -> Notification | None:
    """Return the notification that a record's value is; None where it is none."""
    try:
        told = _Told.model_validate_json(value or b"")
        at = datetime.fromtimestamp(told.timestamp // 1000, UTC)
    except (ValidationError, ValueError, OverflowError, OSError):
        return None
    data = told.additional_data or {}
    return Notification(id=told.id, about=told.aggregate_type, event=told.type, at=at, data=data)


def signal(value: bytes | None) -> tuple[str, str] | None:
    """Return id and type of the signal that a record's value is; None where it is none."""
    try:
        sent = _Sent.model_validate_json(value or b"")
    except ValidationError:
        return None
    return sent.id, sent.type
