"""Source offsets as people write them: whether the plug-in would read them, and whether they are in force. Pure.

Source of the shape: ``PostgresOffsetContext`` and ``PostgresPartition`` of Debezium 3.6.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Document = Sequence[Mapping[str, Any]]

NUMBERS = frozenset({"lsn", "lsn_proc", "lsn_commit", "txId", "ts_usec", "xmin"})
"""What of an offset of PostgreSQL the plug-in takes for a number."""

LATER = frozenset({"INCREMENTAL", "BLOCKING"})
"""Snapshots that are none of the first rows, as offsets call them."""

MOST = 256 * 1024
"""Bytes that offsets may take in a status, which may have them three times: etcd takes objects of 1.5 MiB."""


def kept(document: Document | None) -> list[Mapping[str, Any]] | None:
    """Return ``document`` as a status has it; None where that is too large, or nothing is known."""
    return None if document is None or _size(document) > MOST else list(document)


def unsaved(document: Document | None) -> str | None:
    """Say that a status could not save ``document``; None when it could, or nothing is known."""
    if document is None or kept(document) is not None:
        return None
    there, most = (f"{size // 1024} KiB" for size in (_size(document), MOST))
    return f"The offsets were left as they are: they take {there}, and a status can save {most} of them."


def _size(document: Document) -> int:
    return len(json.dumps(document))


def problem(document: Document, prefix: str) -> str | None:
    """Say why a connector with this prefix of topics would not go on from ``document``; None when it would."""
    partition = {"server": prefix}
    if len(document) != 1 or document[0].get("partition") != partition:
        return f"a connector for PostgreSQL has one partition, {partition}"
    offset = document[0].get("offset")
    return None if offset is None else _problem_of(offset)


def _problem_of(offset: Mapping[str, Any]) -> str | None:
    if "lsn" not in offset:
        return "an offset of PostgreSQL has a number lsn"
    wrong = next((name for name, value in offset.items() if not _is_read(name, value)), None)
    return wrong and f"{wrong} of the offset is {'no whole number' if wrong in NUMBERS else 'no text, number or truth'}"


def _is_read(name: str, value: Any) -> bool:
    if name in NUMBERS:
        return (value is None and name != "lsn") or (type(value) is int and 0 <= value < 2**63)
    return value is None or isinstance(value, str | int | bool)


def is_in_force(document: Document | None, seen: Document) -> bool:
    """Tell whether ``seen`` is what ``document`` asks for; None asks for no offset at all."""
    if document is None:
        return not seen
    return all(_found(seen, wanted["partition"]) == wanted.get("offset") for wanted in document)


def _found(seen: Document, partition: Any) -> Any:
    return next((one.get("offset") for one in seen if one.get("partition") == partition), None)


def snapshot(document: Document) -> str | None:
    """Return the id of the incremental snapshot that is under way; None where there is none."""
    found = (one["offset"].get("incremental_snapshot_correlation_id") for one in document if one.get("offset"))
    return next((str(one) for one in found if one), None)


def has_begun(document: Document) -> bool:
    """Tell whether the first snapshot is done, so that changes are read: while it is taken each offset says so.

    A later one that a restart ended stays in them, as if it went on.
    """
    offsets = [one["offset"] for one in document if one.get("offset")]
    return bool(offsets) and not any(map(_is_of_the_first, offsets))


def _is_of_the_first(offset: Mapping[str, Any]) -> bool:
    of_it = str(offset.get("snapshot") or "INCREMENTAL").upper() not in LATER
    return of_it and not (offset.get("last_snapshot_record") or offset.get("snapshot_completed"))
