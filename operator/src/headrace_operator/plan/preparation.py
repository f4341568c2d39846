"""What a database must have before a Connector captures it, as the source agent sees it: each lack with what mends it.

A lack that only a person can end refuses a spec before Kafka Connect is told of it. What ends by itself, such as a
database that is away, or a publication that the agent is about to make, only holds it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.source import (
    Deed,
    Login,
    Publication,
    Relation,
    Seen,
    Server,
    SourceSeen,
    Table,
    Unseen,
)
from headrace_operator.plan import debezium, publication
from headrace_operator.plan import source as sources
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.source import TYPE, Source

CAPTURABLE = frozenset({"Table", "PartitionedTable"})
HARMLESS = frozenset({Reason.TABLE_WITHOUT_KEY})
"""Lacks with which a connector still does all that it shall; others suffer."""

HOLDS = frozenset({Reason.UNKNOWN, Reason.SOURCE_UNREACHABLE, Reason.LOGIN_REFUSED, Reason.SOURCE_REFUSES})
"""Reasons that say nothing against a spec: it waits."""


def finding(resource: Resource, spec: ConnectorSpec, source: Source) -> Finding:
    """Return the condition `SourceReady`: the first lack, or that there is none."""
    if (closed := sources.login(source, spec)) is not None:
        return closed
    assert isinstance(source, SourceSeen)
    lack = next(_lacks(resource, spec, source), None)
    return lack or true(TYPE, Reason.SOURCE_READY, "The database has what this Connector needs.")


def refusal(found: Finding) -> Finding | None:
    """Return why a spec that is not in force yet is refused; None when it may be, now or in a while."""
    return None if found.status != "False" or found.reason in HOLDS else false("Accepted", found.reason, found.message)


def held(found: Finding) -> str | None:
    """Say why a spec that is not in force yet has to wait; None when the database is ready for it."""
    return None if found.status == "True" else found.message


def _lacks(resource: Resource, spec: ConnectorSpec, source: SourceSeen) -> Iterator[Finding]:
    login, server = sources.value(source.login), sources.value(source.server)
    tables = sources.value(source.tables)
    if login is None or server is None or tables is None:
        facts = (source.login, source.server, source.tables)
        yield unknown(
            TYPE, Reason.UNKNOWN, next((one.why for one in facts if isinstance(one, Unseen)), "Not seen yet.")
        )
        return
    yield from _server(server, source)
    yield from _login(login)
    captured = publication.tables(spec)
    seen = {table.name: table for table in tables}
    yield from (lack for name in captured for lack in _table(seen.get(name), name, spec, login))
    skipped = debezium.configuration(resource, spec).get("skipped.operations", debezium.SKIPPED)
    if not {"u", "d"} <= set(skipped.split(",")):
        yield from (lack for name in captured if (lack := _keyless(seen.get(name))) is not None)
    yield from _publication(resource, spec, source, [seen[name] for name in captured if name in seen])


def _server(server: Server, source: SourceSeen) -> Iterator[Finding]:
    if server.wal_level != "logical":
        text = (
            f"The server's wal_level is {server.wal_level}: run ALTER SYSTEM SET wal_level = 'logical' as a superuser "
            "and restart the server (of a cloud's database set its parameter for logical replication)."
        )
        yield false(TYPE, Reason.WAL_LEVEL, text)
    if isinstance(source.slot, Seen) and source.slot.value is None:
        for setting, taken, most in (
            ("max_replication_slots", server.slots, server.max_slots),
            ("max_wal_senders", server.senders, server.max_senders),
        ):
            if taken >= most:
                text = (
                    f"All {most} of the server's {setting} are taken: drop what nobody uses (SELECT slot_name FROM "
                    f"pg_replication_slots WHERE NOT active), or run ALTER SYSTEM SET {setting} = {most + 10} and "
                    "restart the server."
                )
                yield false(TYPE, Reason.NO_SLOT_LEFT, text)


def _login(login: Login) -> Iterator[Finding]:
    if not (login.replication or login.superuser):
        role = publication.identifier(login.user)
        text = (
            f"Role {login.user} may not replicate: run ALTER ROLE {role} REPLICATION (Amazon RDS: GRANT "
            f"rds_replication TO {role})."
        )
        yield false(TYPE, Reason.RIGHT_MISSING, text)


def _table(table: Table | None, name: str, spec: ConnectorSpec, login: Login) -> Iterator[Finding]:
    if table is None:
        yield unknown(TYPE, Reason.UNKNOWN, f"The source agent has not looked at table {name} yet.")
    elif table.relation is None:
        field = "spec.capture.outbox.table" if spec.capture.outbox else "spec.capture.tables"
        text = (
            f"There is no table {name} in database {spec.postgres.database}, as it is written in {field} (also large "
            "and small letters count): create it, or take it out. Headrace looks again every ten seconds."
        )
        yield false(TYPE, Reason.TABLE_MISSING, text)
    else:
        yield from _relation(table.relation, name, login)


def _relation(found: Relation, name: str, login: Login) -> Iterator[Finding]:
    if found.kind not in CAPTURABLE or found.unlogged:
        what = "an unlogged table" if found.unlogged else f"a {found.kind}"
        mend = f"run ALTER TABLE {publication.quoted(name)} SET LOGGED" if found.unlogged else "name a table"
        text = f"{name} is {what}, of which PostgreSQL replicates nothing: {mend}."
        yield false(TYPE, Reason.TABLE_NOT_CAPTURABLE, text)
    elif not found.selectable:
        text = (
            f"Role {login.user} may not read table {name}, of which a first snapshot is taken: run GRANT SELECT ON "
            f"{publication.quoted(name)} TO {publication.identifier(login.user)}."
        )
        yield false(TYPE, Reason.RIGHT_MISSING, text)


def _publication(
    resource: Resource, spec: ConnectorSpec, source: SourceSeen, tables: Sequence[Table]
) -> Iterator[Finding]:
    if isinstance(source.publication, Unseen):
        yield unknown(TYPE, Reason.UNKNOWN, source.publication.why)
        return
    seen = source.publication.value
    name = debezium.configuration(resource, spec)["publication.name"]
    missing = [one.name for one in tables if one.relation is not None and not one.relation.published]
    parted = [one.name for one in tables if one.relation is not None and one.relation.kind == "PartitionedTable"]
    if seen is not None and not missing and (seen.via_partition_root or not parted):
        return
    if publication.is_kept(spec):
        yield _making(name, source.deeds)
    elif debezium.AUTOCREATE not in (spec.config or {}):
        yield _theirs(name, seen, missing, spec)


def _making(name: str, deeds: Sequence[Deed]) -> Finding:
    """Say that the agent makes or alters the publication, or why it could not."""
    tried = (one for one in deeds if one.kind in ("MakePublication", "AlterPublication") and one.failure is not None)
    failed = max(tried, key=lambda one: one.at, default=None)
    if failed is None or failed.failure is None:
        return unknown(
            TYPE,
            Reason.PUBLICATION_AWAITED,
            f"The source agent is to make publication {name} as this Connector needs it.",
        )
    text = (
        f"The source agent could not run {failed.statement}: {failed.failure.why} Give the role what it lacks (it must "
        "own each table, and have CREATE on the database), or let the tables' owner run that statement."
    )
    return false(TYPE, Reason.PUBLICATION_INCOMPLETE, text)


def _theirs(name: str, seen: Publication | None, missing: Sequence[str], spec: ConnectorSpec) -> Finding:
    if seen is None:
        statement, why = publication.creation(name, spec), f"There is no publication {name}"
    elif missing:
        listed = ", ".join(map(publication.quoted, missing[: publication.MOST]))
        statement = f"ALTER PUBLICATION {name} ADD TABLE {listed}"
        why = f"Publication {name} lacks {', '.join(missing[: publication.MOST])}"
    else:
        statement = f"ALTER PUBLICATION {name} SET (publish_via_partition_root = true)"
        why = f"Publication {name} publishes partitions by their own names, which are not captured"
    text = f"{why}: run {statement}. It is yours and is never altered by Headrace."
    return false(TYPE, Reason.PUBLICATION_INCOMPLETE, text)


def _keyless(table: Table | None) -> Finding | None:
    """Say of which table UPDATE and DELETE fail, for whoever runs them, as soon as it is published."""
    if table is None or table.relation is None or not table.relation.unidentified:
        return None
    every = table.relation.unidentified
    statements = "; ".join(
        f"ALTER TABLE {publication.quoted(one)} REPLICA IDENTITY FULL" for one in every[: publication.MOST]
    )
    text = (
        f"{', '.join(every[: publication.MOST])} has neither a primary key nor a replica identity, so that PostgreSQL "
        f"refuses UPDATE and DELETE on it once it is captured: run {statements}; or, where rows are only inserted, set "
        'spec.config to {skipped.operations: "u,d,t"}.'
    )
    return false(TYPE, Reason.TABLE_WITHOUT_KEY, text)
