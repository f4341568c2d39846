"""What is told of captured tables, each by making it so in the database."""

from __future__ import annotations

import pytest

from headrace_agent.told import Relation
from tests.agent.sources.postgres.shop import PUBLICATION, Shop, looked, seen

pytestmark = pytest.mark.slow


async def _relations(shop: Shop, *names: str) -> list[Relation | None]:
    tables = seen((await looked(shop.declared(tables=names))).tables)
    assert [table.name for table in tables] == list(names)
    return [table.relation for table in tables]


async def _relation(shop: Shop, name: str) -> Relation:
    (relation,) = await _relations(shop, name)
    assert relation is not None
    return relation


async def test_a_table_that_is_not_there_is_none_beside_one_that_is(shop: Shop) -> None:
    shop.own("CREATE TABLE orders (id int, line int, v text, PRIMARY KEY (line, id))")

    absent, orders = await _relations(shop, "public.none", "public.orders")

    assert absent is None
    assert orders is not None
    assert (orders.kind, orders.owner, orders.owned, orders.selectable) == ("Table", "shop", True, True)
    assert (orders.primary_key, orders.unidentified, orders.rows) == (("line", "id"), (), None)
    assert orders.published is None


@pytest.mark.parametrize("name", ["Order Details", "audit$log", "Größen", "a.b", 'qu"ote', "it's", "%s"])
async def test_any_name_is_a_literal_one(shop: Shop, name: str) -> None:
    quoted = name.replace('"', '""')
    shop.own(f'CREATE TABLE "{quoted}" (id int PRIMARY KEY)')

    assert (await _relation(shop, f"public.{name}")).kind == "Table"


@pytest.mark.parametrize(
    ("identity", "told", "is_identified"),
    [
        ("DEFAULT", "Default", False),
        ("NOTHING", "Nothing", False),
        ("FULL", "Full", True),
        ("USING INDEX log_v_key", "Index", True),
    ],
)
async def test_a_table_without_a_primary_key(shop: Shop, identity: str, told: str, is_identified: bool) -> None:
    shop.own("CREATE TABLE log (id int, v text NOT NULL UNIQUE)", f"ALTER TABLE log REPLICA IDENTITY {identity}")

    log = await _relation(shop, "public.log")

    assert (log.primary_key, log.replica_identity) == ((), told)
    assert log.unidentified == (() if is_identified else ("public.log",))


async def test_an_identity_whose_index_was_dropped_is_none(shop: Shop) -> None:
    shop.own(
        "CREATE TABLE log (id int, v text NOT NULL UNIQUE)", "ALTER TABLE log REPLICA IDENTITY USING INDEX log_v_key"
    )
    shop.own("ALTER TABLE log DROP CONSTRAINT log_v_key")

    assert (await _relation(shop, "public.log")).unidentified == ("public.log",)


async def test_a_partitioned_table_is_as_its_partitions(shop: Shop) -> None:
    shop.own(
        "CREATE TABLE events (id int, at date) PARTITION BY RANGE (at)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
        "ALTER TABLE events_2 REPLICA IDENTITY FULL",
        "INSERT INTO events SELECT g, '2026-05-05' FROM generate_series(1, 50) g",
        "ANALYZE events_1",
    )

    events, one = await _relations(shop, "public.events", "public.events_1")

    assert events is not None
    assert one is not None
    assert (events.kind, events.partition, events.rows) == ("PartitionedTable", False, 50)
    assert events.unidentified == one.unidentified == ("public.events_1",)
    assert (one.kind, one.partition) == ("Table", True)


async def test_what_is_no_table(shop: Shop) -> None:
    shop.own("CREATE VIEW v AS SELECT 1", "CREATE UNLOGGED TABLE u (id int PRIMARY KEY)", "CREATE SEQUENCE s")

    view, unlogged, sequence = await _relations(shop, "public.v", "public.u", "public.s")

    assert view is not None
    assert unlogged is not None
    assert sequence is not None
    assert (view.kind, sequence.kind, unlogged.kind, unlogged.unlogged) == ("View", "Other", "Table", True)


async def test_a_table_of_somebody_else(shop: Shop) -> None:
    shop.run("CREATE SCHEMA hidden", "CREATE TABLE hidden.t (id int)", "CREATE TABLE public.t (id int)")

    hidden, visible = await _relations(shop, "hidden.t", "public.t")

    assert hidden is not None
    assert visible is not None
    assert (hidden.owner, hidden.owned, hidden.selectable) == ("postgres", False, False)
    assert (visible.owned, visible.selectable) == (False, False)


async def test_a_table_that_was_made_anew_is_another(shop: Shop) -> None:
    shop.own("CREATE TABLE t (id int)")
    before = await _relation(shop, "public.t")
    shop.own("DROP TABLE t", "CREATE TABLE t (id int)")

    assert (await _relation(shop, "public.t")).oid != before.oid


@pytest.mark.parametrize(
    ("publication", "published"),
    [
        ("FOR TABLE a", [True, False, False]),
        ("FOR ALL TABLES", [True, True, True]),
        ("FOR TABLE parts WITH (publish_via_partition_root = true)", [False, True, True]),
        ("FOR TABLE parts", [False, True, True]),
        ("FOR TABLE part WITH (publish_via_partition_root = true)", [False, True, True]),
        ("FOR TABLES IN SCHEMA public", [True, True, True]),
    ],
)
async def test_whether_the_publication_has_a_table(shop: Shop, publication: str, published: list[bool]) -> None:
    shop.own("CREATE TABLE a (id int)", "CREATE TABLE parts (id int) PARTITION BY LIST (id)")
    shop.own("CREATE TABLE part PARTITION OF parts FOR VALUES IN (1)")
    shop.run(f"CREATE PUBLICATION {PUBLICATION} {publication}")

    relations = await _relations(shop, "public.a", "public.parts", "public.part")

    assert [relation.published for relation in relations if relation is not None] == published
