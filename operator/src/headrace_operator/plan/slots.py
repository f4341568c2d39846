"""Whether a Connector's replication slot keeps what was not read yet: `SlotHealthy`.

Source: PostgreSQL documentation, `pg_replication_slots`. Debezium confirms to the slot only what Kafka Connect has
committed, so that a slot beyond the committed position was made anew, or moved by somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace_operator.observed.connect import Offsets
from headrace_operator.observed.source import Slot, SourceSeen, Unseen
from headrace_operator.plan import source as sources
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.source import Source

TYPE = "SlotHealthy"
SOON = 24.0
"""Hours until a slot is lost at its growth, from which on it is told."""

MUCH = 10 * 2**30
"""Bytes of log that are told where the server has no limit: they fill its disk."""

LOST = frozenset({Reason.SLOT_LOST, Reason.POSSIBLE_DATA_GAP})
"""Reasons for which a connector cannot go on without losing changes: nothing of it is started again."""

ANEW = frozenset({"when_needed", "always"})
"""Modes of ``snapshot.mode`` in which Debezium reads all tables anew where the slot is gone."""

ANEW_BY_ITSELF = (
    "As spec.postgres.onSlotLost says, the source agent drops it, and all rows of its tables are read anew; rows that "
    "were deleted in between are not told of."
)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """The connector that reads a slot: its configuration, what it has committed, whether it says to run, and stands.

    It ``resnapshots`` where a slot that is lost is dropped by the agent, so that Debezium reads its tables anew.
    ``called`` is what the command calls it.
    """

    called: str
    made: Mapping[str, str]
    offsets: Offsets
    runs: bool
    stands: bool
    resnapshots: bool


def finding(source: Source, reader: Reader) -> Finding:
    """Return the condition `SlotHealthy`."""
    name = reader.made["slot.name"]
    if (why := sources.unseen(source)) is not None:
        return unknown(TYPE, Reason.UNKNOWN, why)
    assert isinstance(source, SourceSeen)
    if isinstance(source.slot, Unseen):
        return unknown(TYPE, Reason.UNKNOWN, source.slot.why)
    slot = source.slot.value
    if slot is None:
        return _absent(name, reader)
    return _lost(slot, reader) or _idle(slot, reader) or _growing(slot) or _well(slot)


def _absent(name: str, reader: Reader) -> Finding:
    if not committed(reader.offsets):
        return unknown(TYPE, Reason.UNKNOWN, f"Replication slot {name} is made when the connector first starts.")
    if reader.made.get("snapshot.mode") in ANEW:
        return unknown(TYPE, Reason.UNKNOWN, f"Replication slot {name} is made anew, and all tables are read.")
    return false(TYPE, Reason.SLOT_LOST, f"Replication slot {name} is gone. {_steps(reader)}")


def _lost(slot: Slot, reader: Reader) -> Finding | None:
    if (why := slot.lost) is not None:
        steps = ANEW_BY_ITSELF if reader.resnapshots else _steps(reader, drop=slot.name)
        return false(TYPE, Reason.SLOT_LOST, f"Replication slot {slot.name} is lost{_because(why)}. {steps}")
    mine, theirs = committed(reader.offsets), number(slot.confirmed_position)
    if not reader.stands or not mine or theirs is None or theirs <= mine or "lsn.flush.mode" in reader.made:
        return None  # what moves is compared with a slot of another moment
    text = (
        f"Replication slot {slot.name} begins at {slot.confirmed_position}, beyond {position(mine)}, where the "
        f"connector is: it was made anew or moved by somebody else, and what lies between is not in it. "
        f"{_steps(reader)} To go on without what lies between, set its offsets: headrace connector offsets set."
    )
    return false(TYPE, Reason.POSSIBLE_DATA_GAP, text)


def _because(word: str) -> str:
    return "" if word == "lost" else f" ({word})"


def _steps(reader: Reader, *, drop: str | None = None) -> str:
    """Say what brings every row: by a new snapshot, as what the slot kept is no longer there."""
    dropped = f"SELECT pg_drop_replication_slot('{drop}'), then " if drop else ""
    return (
        "Changes since the connector stopped reading may be missing, so nothing of it is started again. To read all "
        f"rows of its tables anew and go on: {dropped}headrace connector offsets reset {reader.called}."
    )


def _idle(slot: Slot, reader: Reader) -> Finding | None:
    if slot.active or not (reader.runs and reader.stands):
        return None
    text = (
        f"Nobody reads replication slot {slot.name}, though the connector says that it runs: it keeps {_kept(slot)}. "
        "See the log of its worker, and start its task anew: headrace connector restart."
    )
    return false(TYPE, Reason.SLOT_INACTIVE, text)


def _growing(slot: Slot) -> Finding | None:
    """Say that a slot will soon be lost, or fills the disk; without figures that change all the time."""
    if slot.wal_status == "unreserved" or (slot.hours_left is not None and slot.hours_left < SOON):
        why = (
            "and is lost within a day as it grows" if slot.wal_status != "unreserved" else "and may be lost any moment"
        )
        mend = "or raise max_slot_wal_keep_size"
    elif (slot.retained_bytes or 0) >= MUCH and (slot.growth or 0) > 0:
        why, mend = "and more and more", "or free space on the server's disk"
    else:
        return None
    reads = "let the connector catch up" if slot.active else "start the connector, or delete it and drop the slot"
    text = f"Replication slot {slot.name} keeps {_kept(slot)} {why}: {reads}, {mend}."
    return false(TYPE, Reason.SLOT_GROWING, text)


def _well(slot: Slot) -> Finding:
    return true(TYPE, Reason.SLOT_HEALTHY, f"Replication slot {slot.name} keeps what was not read yet.")


def _kept(slot: Slot) -> str:
    """Return the size of the log that a slot keeps as a power of two, so that a text rests while it grows."""
    size = slot.retained_bytes or 0
    whole = 1 << (size.bit_length() - 1) if size > 0 else 0
    for unit, bytes_ in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if whole >= bytes_:
            return f"more than {whole // bytes_} {unit} of log"
    return "log"


def committed(offsets: Offsets) -> int:
    """Return the position that a connector has committed, 0 when there is none."""
    parts = (one.get("offset") or {} for one in offsets or ())
    known = (part.get(name) for part in parts for name in ("lsn", "lsn_proc", "lsn_commit"))
    return max((one for one in known if isinstance(one, int)), default=0)


def number(text: str | None) -> int | None:
    """Return a position that PostgreSQL writes, such as ``0/16B3748``, as the number that Debezium has for it."""
    if text is None:
        return None
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def position(lsn: int) -> str:
    """Return a position as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
