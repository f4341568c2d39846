"""What a Connector's publication must hold, what the tables in it must have, and which edit it could not follow.

The operator opens no database: what it cannot see it says beforehand, with the statement that mends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import debezium, defaults
from headrace_operator.plan.conditions import Finding, false
from headrace_operator.plan.reasons import Reason

PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
MOST = 5
"""Tables that a statement names."""


def advice(spec: ConnectorSpec) -> str:
    """Return what the database must have for this spec, as sentences; none when Debezium sees to all of it."""
    return " ".join(filter(None, (_own_publication(spec), _keys(spec))))


def _own_publication(spec: ConnectorSpec) -> str | None:
    """Say what a publication that the user named must hold: nobody but the user alters it."""
    if (named := debezium.own_publication(spec)) is None:
        return None
    return (
        f"Publication {named} is yours and is never altered: a captured table that is not in it is read once and then "
        f"no more. Make it with {creation(named, spec)}, or add what is missing with ALTER PUBLICATION {named} ADD "
        "TABLE …."
    )


def creation(name: str, spec: ConnectorSpec) -> str:
    """Return the statement that makes a publication as this spec needs it."""
    inserts = "publish = 'insert', " if spec.capture.outbox else ""
    return f"CREATE PUBLICATION {name} FOR TABLE {_listed(spec)} WITH ({inserts}publish_via_partition_root = true)"


def _keys(spec: ConnectorSpec) -> str | None:
    """Say which tables need a key: with its changes published, a table without one refuses UPDATE and DELETE."""
    if spec.capture.tables is None:
        return None
    return (
        "PostgreSQL refuses UPDATE and DELETE on a captured table that has neither a primary key nor a replica "
        f"identity: give it one, such as ALTER TABLE {quoted(spec.capture.tables[0])} REPLICA IDENTITY FULL; where it "
        "is partitioned, each partition."
    )


def is_kept(spec: ConnectorSpec) -> bool:
    """Tell whether the publication is Headrace's to make and to alter: a user neither named nor set one up."""
    return debezium.own_publication(spec) is None and debezium.AUTOCREATE not in (spec.config or {})


def captured(spec: ConnectorSpec) -> tuple[str, ...]:
    """Return the tables that are captured."""
    return (spec.capture.outbox.table,) if spec.capture.outbox else spec.capture.tables or ()


def tables(spec: ConnectorSpec) -> tuple[str, ...]:
    """Return the tables that the publication must have: those that are captured, and that of signals."""
    signals = (spec.config or {}).get("signal.data.collection")
    return tuple(dict.fromkeys((*captured(spec), signals) if signals else captured(spec)))


def accepted(resource: Resource) -> ConnectorSpec | None:
    """Return what was accepted last of a Connector, with its defaults; None where this version reads none."""
    found = (resource.status.get("accepted") or {}).get("spec")
    try:
        return defaults.over(ConnectorSpec.model_validate(dict(found)), defaults.before(resource)) if found else None
    except ValidationError:
        return None


def accepted_tables(resource: Resource) -> tuple[str, ...]:
    """Return the tables of what was accepted last: they are read until another spec is accepted."""
    spec = accepted(resource)
    return () if spec is None else tables(spec)


def _listed(spec: ConnectorSpec) -> str:
    every = tables(spec)
    return ", ".join(quoted(table) for table in every[:MOST]) + (", …" if len(every) > MOST else "")


def quoted(table: str) -> str:
    """Return ``schema.table`` as SQL writes it."""
    return ".".join(map(identifier, table.split(".", 1)))


def identifier(name: str) -> str:
    """Return a name as SQL writes it."""
    return name if PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def same_outbox(resource: Resource, spec: ConnectorSpec) -> Finding | None:
    """Say that an outbox's table stays: Debezium cannot alter a publication of inserts only, and loses what comes."""
    accepted = (resource.status.get("accepted") or {}).get("spec") or {}
    if not accepted.get("capture"):
        return None
    before, now = _outbox(accepted), spec.capture.outbox.table if spec.capture.outbox else None
    if before == now:
        return None
    text = (
        f"spec.capture.outbox.table was {before or 'not given'} when it was accepted, and stays so: the publication "
        "was made for that, and rows of another table would be lost. Make another Connector for that table instead."
    )
    return false("Accepted", Reason.INVALID, text)


def _outbox(spec: Mapping[str, Any]) -> str | None:
    return ((spec.get("capture") or {}).get("outbox") or {}).get("table")
