"""The publication of a PostgreSQL source: looked at, made, altered and dropped, by plain SQL.

What is published is judged by nobody here: a declaration says what ours has, and another's is never altered.
https://www.postgresql.org/docs/current/sql-alterpublication.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from headrace_agent import declared
from headrace_agent.sources.postgres.deeds import Deeds
from headrace_agent.sources.postgres.session import Session
from headrace_agent.told import Publication

_PUBLICATION = sql.SQL("""
SELECT pubname::text AS name, pg_get_userbyid(pubowner)::text AS owner, pg_has_role(pubowner, 'USAGE') AS owned,
       puballtables AS all_tables,
       array_remove(ARRAY[CASE WHEN pubinsert THEN 'insert' END, CASE WHEN pubupdate THEN 'update' END,
                          CASE WHEN pubdelete THEN 'delete' END, CASE WHEN pubtruncate THEN 'truncate' END], NULL)
         AS operations,
       coalesce((to_jsonb(p) ->> 'pubviaroot')::bool, false) AS via_partition_root,
       ARRAY(SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = %(publication)s
             ORDER BY 1 LIMIT 1000) AS tables,
       (SELECT count(*) FROM pg_publication_tables WHERE pubname = %(publication)s) AS table_count,
       ARRAY(SELECT n.nspname || '.' || c.relname FROM pg_publication_rel r
             JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE r.prpubid = p.oid AND (to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL)
             ORDER BY 1 LIMIT 1000) AS filtered
FROM pg_publication p WHERE pubname = %(publication)s
""")

_MEMBERS = sql.SQL("""
SELECT n.nspname::text AS schema, c.relname::text AS name,
       n.nspname || '.' || c.relname = ANY(%(tables)s) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AS wanted,
       EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
               WHERE p.pubname = %(publication)s AND r.prrelid = c.oid) AS there
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY(%(tables)s)
   OR c.oid IN (SELECT r.prrelid FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
                WHERE p.pubname = %(publication)s)
ORDER BY 1, 2
""")


Name = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Members:
    """Schema and name of tables: those to publish, of all declared that exist, and those that it has itself."""

    wanted: tuple[Name, ...]
    there: tuple[Name, ...]


async def look(session: Session, name: str) -> Publication | None:
    """Look at the publication; raises `Unseen`."""
    rows = await session.rows(_PUBLICATION, {"publication": name})
    return Publication.model_validate(rows[0]) if rows else None


async def keep(session: Session, source: declared.Postgres, deeds: Deeds) -> None:
    """Make or alter the publication until it is what is declared; raises `Unseen` where that cannot be seen."""
    seen = await look(session, source.publication.name)
    members = await _members(session, source)
    if seen is None:
        deeds.settled("AlterPublication")
        await deeds.do("MakePublication", _made(source.publication, members.wanted))
        return
    deeds.settled("MakePublication")
    statements = alterations(source.publication, seen, members)
    if not statements:
        deeds.settled("AlterPublication")
    for statement in statements:
        await deeds.do("AlterPublication", statement)


async def drop(session: Session, name: str, deeds: Deeds) -> None:
    """Drop the publication, if it is there; raises `Unseen` where that cannot be seen."""
    if await look(session, name) is None:
        deeds.settled("DropPublication")
    else:
        await deeds.do("DropPublication", sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(name)))


def alterations(wanted: declared.Publication, seen: Publication, members: Members) -> tuple[sql.Composed, ...]:
    """Return what makes a publication that was seen what is declared: its options, then its tables. Pure.

    PostgreSQL sets no empty list of tables, so the last ones are dropped by name.
    """
    name = sql.Identifier(wanted.name)
    statements = []
    if set(seen.operations) != set(wanted.operations) or not seen.via_partition_root:
        statements.append(sql.SQL("ALTER PUBLICATION {} SET ({})").format(name, _options(wanted)))
    if members.wanted and (set(members.wanted) != set(members.there) or seen.filtered):
        statements.append(sql.SQL("ALTER PUBLICATION {} SET TABLE {}").format(name, _list(members.wanted)))
    if members.there and not members.wanted:
        statements.append(sql.SQL("ALTER PUBLICATION {} DROP TABLE {}").format(name, _list(members.there)))
    return tuple(statements)


async def _members(session: Session, source: declared.Postgres) -> Members:
    values = {"tables": list(source.tables), "publication": source.publication.name}
    rows = [(row, (row["schema"], row["name"])) for row in await session.rows(_MEMBERS, values)]
    return Members(
        wanted=tuple(name for row, name in rows if row["wanted"]),
        there=tuple(name for row, name in rows if row["there"]),
    )


def _made(wanted: declared.Publication, tables: Sequence[Name]) -> sql.Composed:
    of = sql.SQL(" FOR TABLE {}").format(_list(tables)) if tables else sql.SQL("")
    return sql.SQL("CREATE PUBLICATION {}{} WITH ({})").format(sql.Identifier(wanted.name), of, _options(wanted))


def _options(wanted: declared.Publication) -> sql.Composed:
    return sql.SQL("publish = {}, publish_via_partition_root = true").format(sql.Literal(", ".join(wanted.operations)))


def _list(tables: Sequence[Name]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
