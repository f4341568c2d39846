"""What a connector leaves behind that goes for good: what is dropped in its database, and what is told of the rest."""

from __future__ import annotations

import re
from typing import Any

from headrace import printable
from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.source import Seen, SourceSeen, Unseen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import marks, publication, source
from headrace_operator.plan.actions import Note
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.source import Source

SLOT, OURS = r"[a-z0-9_]{1,63}", r"headrace_[a-z0-9_]{1,54}"
"""What slots are called, and publications that Headrace named: others may write other text into a configuration."""

LONGEST, LONGEST_OFFSETS = 250, 800
"""Characters of a configuration's value, and of offsets, that an Event has."""


def wanted(spec: ConnectorSpec) -> dict[str, str]:
    """Return what a connector is configured with, so that it tells what goes with its resource once that is gone.

    What is the default is not told. A slot or a publication that the user named is never dropped.
    """
    on_delete, told = spec.on_delete, {}
    if on_delete and on_delete.offsets == "Keep":
        told[marks.OFFSETS] = "Keep"
    if on_delete and on_delete.slot == "Delete" and spec.postgres.slot is None:
        told[marks.SLOT] = "Delete"
        told |= {marks.PUBLICATION: "Delete"} if publication.is_kept(spec) else {}
    return told


def advice(spec: ConnectorSpec, cluster: Resource | Absent | Unknown) -> str:
    """Say that nobody is there to drop a slot; nothing where somebody is, or that is not asked for."""
    if marks.SLOT not in wanted(spec) or not isinstance(cluster, Resource):
        return ""
    if source.is_on(cluster) or source.is_written(cluster) or not cluster.status.get("accepted"):
        return ""
    return f"spec.onDelete.slot: Delete is done by the source agent. {source.off(cluster)}"


def is_to_drop(seen: ConnectorSeen, database: Source | None) -> bool:
    """Tell whether the source agent, if there is one, has still to drop the slot of a connector, or its publication."""
    return database is not None and marks.drops_slot(seen.config) and not _is_dropped(seen, database)


def _is_dropped(seen: ConnectorSeen, database: Source | None) -> bool:
    if not isinstance(database, SourceSeen) or not _is_absent(database.slot):
        return False
    return not marks.drops_publication(seen.config) or _is_absent(database.publication)


def _is_absent(fact: Seen[Any] | Unseen) -> bool:
    return isinstance(fact, Seen) and fact.value is None


def in_database(seen: ConnectorSeen, database: Source | None, *, tried: bool) -> Note | None:
    """Return the Event of a slot and a publication that stay, with the SQL that drops them; None where nothing does."""
    slot, published = seen.config.get("slot.name", ""), seen.config.get("publication.name", "")
    if marks.keeps_offsets(seen.config) or not re.fullmatch(SLOT, slot) or _is_dropped(seen, database):
        return None
    drops = f"SELECT pg_drop_replication_slot('{slot}');"
    if re.fullmatch(OURS, published):
        drops += f" DROP PUBLICATION {publication.identifier(published)};"
    place = (seen.config.get(f"database.{part}", "?") for part in ("dbname", "hostname"))
    where = " at ".join(printable.brief(one, LONGEST) for one in place)
    leaves = "leaves" if seen.offsets else "may leave"
    text = (
        f"{_why(database) if tried else ''}Connector {seen.name} {leaves} replication slot {slot} behind, for which "
        f"the server keeps its log until it is dropped. Once nobody else reads it, in database {where}: {drops}"
    )
    return Note(type="Warning", reason=Reason.SLOT_STAYS, message=text)


def _why(database: Source | None) -> str:
    """Say that the agent did not drop the slot, and why, as far as it tells."""
    failures = [one.failure.why for one in database.deeds if one.failure] if isinstance(database, SourceSeen) else []
    why = next(iter(failures), None) or (database and source.unseen(database))
    return f"The source agent did not drop it within 5 minutes{f' ({why})' if why else ''}. "


def offsets_removed(seen: ConnectorSeen) -> Note | None:
    """Return the Event of offsets that are about to go, with what they are."""
    if not seen.offsets:
        return None
    told = printable.brief(printable.as_json(list(seen.offsets)), LONGEST_OFFSETS)
    text = f"Connector {seen.name} leaves with its offsets, which were {told}."
    return Note(type="Normal", reason=Reason.OFFSETS_REMOVED, message=text)


def offsets_stay(seen: ConnectorSeen, why: str) -> Note:
    """Return the Event of offsets that stay against the wish."""
    text = (
        f"{seen.name}: {why} A Connector that is made anew by its name would go on from them, and begin anew only by "
        "headrace connector offsets reset."
    )
    return Note(type="Warning", reason=Reason.OFFSETS_STAY, message=text)
