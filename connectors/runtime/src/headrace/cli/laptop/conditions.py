"""What a resource, or a pod, says of itself by its conditions."""

from __future__ import annotations

from headrace.cli.laptop.cluster import Json


def of(status: Json, kind: str) -> Json:
    """Return the condition of this type in a status; empty where it has none."""
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), {})
