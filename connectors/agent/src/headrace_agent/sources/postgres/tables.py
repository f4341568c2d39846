"""The captured tables of a PostgreSQL, as its catalog has them, which everybody may read.

A publication is refused UPDATE and DELETE of tables without a replica identity, of partitioned ones by each partition:
https://www.postgresql.org/docs/current/logical-replication-publication.html
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql
from psycopg.rows import DictRow

from headrace_agent.sources.postgres.session import Session
from headrace_agent.told import Relation, Table

_KINDS = {"r": "Table", "p": "PartitionedTable", "v": "View", "m": "MaterializedView", "f": "ForeignTable"}
_IDENTITIES = {"d": "Default", "n": "Nothing", "f": "Full", "i": "Index"}

_TABLES = sql.SQL("""
WITH published AS (
  SELECT c.oid FROM pg_publication_tables t
  JOIN pg_namespace n ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
  WHERE t.pubname = %(publication)s
), named AS (
  SELECT wanted.name, wanted.place, c.*
  FROM unnest(%(tables)s::text[]) WITH ORDINALITY AS wanted(name, place)
  LEFT JOIN (
    SELECT c.oid, n.oid AS schema, n.nspname || '.' || c.relname AS full_name, c.relkind, c.relpersistence,
           c.relispartition, c.relowner, c.relreplident
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  ) c ON c.full_name = wanted.name
), leaves AS (
  SELECT named.oid AS root, c.oid, n.nspname || '.' || c.relname AS full_name, c.relreplident, c.reltuples
  FROM named
  CROSS JOIN LATERAL (SELECT named.oid UNION SELECT relid FROM pg_partition_tree(named.oid)) AS tree(oid)
  JOIN pg_class c ON c.oid = tree.oid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
)
SELECT name, oid, relkind::text AS kind, relpersistence = 'u' AS unlogged, relispartition AS partition,
       pg_get_userbyid(relowner)::text AS owner, pg_has_role(relowner, 'USAGE') AS owned,
       has_schema_privilege(schema, 'USAGE') AND has_table_privilege(oid, 'SELECT') AS selectable,
       ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS part(number, place)
             JOIN pg_attribute a ON a.attnum = part.number
             WHERE a.attrelid = named.oid AND i.indrelid = named.oid AND i.indisprimary
             ORDER BY part.place) AS primary_key,
       relreplident::text AS replica_identity,
       ARRAY(SELECT full_name FROM leaves WHERE root = named.oid AND (
               relreplident = 'n'
               OR relreplident = 'd' AND NOT EXISTS (
                    SELECT FROM pg_index i WHERE i.indrelid = leaves.oid AND i.indisprimary)
               OR relreplident = 'i' AND NOT EXISTS (
                    SELECT FROM pg_index i WHERE i.indrelid = leaves.oid AND i.indisreplident))
             ORDER BY 1 LIMIT 100) AS unidentified,
       (SELECT sum(reltuples) FILTER (WHERE reltuples >= 0) FROM leaves WHERE root = named.oid)::bigint AS rows,
       CASE WHEN EXISTS (SELECT FROM pg_publication WHERE pubname = %(publication)s) THEN
         oid IN (TABLE published)
         OR EXISTS (SELECT FROM pg_partition_ancestors(oid) AS root WHERE root.relid IN (TABLE published))
         OR relkind = 'p' AND EXISTS (SELECT FROM leaves WHERE root = named.oid) AND NOT EXISTS (
              SELECT FROM leaves WHERE root = named.oid AND leaves.oid NOT IN (TABLE published))
       END AS published
FROM named ORDER BY place
""")


async def look(session: Session, tables: Sequence[str], publication: str) -> tuple[Table, ...]:
    """Look for the tables, in their order, and whether that publication has them; raises `Unseen`."""
    rows = await session.rows(_TABLES, {"tables": list(tables), "publication": publication})
    return tuple(_table(row) for row in rows)


def _table(row: DictRow) -> Table:
    name = row.pop("name")
    if row["oid"] is None:
        return Table(name=name, relation=None)
    kind, identity = _KINDS.get(row["kind"], "Other"), _IDENTITIES[row["replica_identity"]]
    return Table(name=name, relation=Relation.model_validate(row | {"kind": kind, "replica_identity": identity}))
