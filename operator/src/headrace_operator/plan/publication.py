"""What a Connector's publication must hold, what the tables in it must have, and which edit it could not follow.

The operator opens no database: what it cannot see it says beforehand, with the statement that mends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import debezium
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
    inserts = "publish = 'insert', " if spec.capture.outbox else ""
    make = f"CREATE PUBLICATION {named} FOR TABLE {_listed(spec)} WITH ({inserts}publish_via_partition_root = true)"
    return (
        f"Publication {named} is yours and is never altered: a captured table that is not in it is read once and then "
        f"no more. Make it with {make}, or add what is missing with ALTER PUBLICATION {named} ADD TABLE …."
    )


def _keys(spec: ConnectorSpec) -> str | None:
    """Say which tables need a key: with its changes published, a table without one refuses UPDATE and DELETE."""
    if spec.capture.tables is None:
        return None
    return (
        "PostgreSQL refuses UPDATE and DELETE on a captured table that has neither a primary key nor a replica "
        f"identity: give it one, such as ALTER TABLE {_quoted(spec.capture.tables[0])} REPLICA IDENTITY FULL; where it "
        "is partitioned, each partition."
    )


def _listed(spec: ConnectorSpec) -> str:
    tables = (spec.capture.outbox.table,) if spec.capture.outbox else spec.capture.tables or ()
    signals = (spec.config or {}).get("signal.data.collection")
    every = (*tables, signals) if signals else tables
    return ", ".join(_quoted(table) for table in every[:MOST]) + (", …" if len(every) > MOST else "")


def _quoted(table: str) -> str:
    """Return ``schema.table`` as SQL writes it."""
    parts = table.split(".", 1)
    return ".".join(part if PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in parts)


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
