"""Publications: what is told of them, and that ours becomes what is declared, and another's stays what it is."""

from __future__ import annotations

import pytest

from headrace_agent import told
from headrace_agent.declared import Publication, Slot
from headrace_agent.told import Deed
from tests.agent.sources.postgres.shop import PUBLICATION, SLOT, Shop, looked, seen

pytestmark = pytest.mark.slow
KEPT = Publication(name=PUBLICATION, state="Kept")
DROPPED = {"publication": Publication(name=PUBLICATION, state="Dropped"), "slot": Slot(name=SLOT, state="Dropped")}


async def _kept(shop: Shop, *tables: str, publication: Publication = KEPT) -> tuple[told.Publication, tuple[Deed, ...]]:
    answer = await looked(shop.declared(publication=publication, tables=tables))
    found = seen(answer.publication)
    assert found is not None, answer.deeds
    return found, answer.deeds


async def test_none_is_none(shop: Shop) -> None:
    assert seen((await looked(shop.declared())).publication) is None


async def test_the_publication_of_another_owner(shop: Shop) -> None:
    shop.run("CREATE TABLE t (id int, v text)")
    shop.run(f"CREATE PUBLICATION {PUBLICATION} FOR TABLE t (id) WHERE (id > 1) WITH (publish = 'insert, delete')")

    found = seen((await looked(shop.declared())).publication)

    assert found is not None
    assert (found.owner, found.owned, found.all_tables, found.via_partition_root) == ("postgres", False, False, False)
    assert (found.operations, found.tables, found.table_count) == (("insert", "delete"), ("public.t",), 1)
    assert found.filtered == ("public.t",)


async def test_it_is_made_altered_and_then_left_alone(shop: Shop) -> None:
    shop.own("CREATE TABLE a (id int)", 'CREATE TABLE "B c" (id int)')

    made, deeds = await _kept(shop, "public.a", "public.none")
    altered, alterations = await _kept(shop, "public.a", "public.B c")
    _, nothing = await _kept(shop, "public.B c", "public.a")

    assert (made.owner, made.tables, made.via_partition_root) == ("shop", ("public.a",), True)
    assert made.operations == ("insert", "update", "delete", "truncate")
    assert [(one.kind, one.failure) for one in deeds] == [("MakePublication", None)]
    assert altered.tables == ("public.B c", "public.a")
    assert [one.statement for one in alterations] == [
        f'ALTER PUBLICATION "{PUBLICATION}" SET TABLE "public"."B c", "public"."a"'
    ]
    assert nothing == ()


async def test_an_outbox_publishes_inserts_alone(shop: Shop) -> None:
    shop.own("CREATE TABLE outbox (id int)")
    await _kept(shop, "public.outbox")

    kept, _ = await _kept(shop, "public.outbox", publication=KEPT.model_copy(update={"operations": ("insert",)}))
    shop.own("INSERT INTO outbox VALUES (1)", "UPDATE outbox SET id = 2", "DELETE FROM outbox")

    assert kept.operations == ("insert",)


async def test_a_partitioned_table_is_published_as_of_its_root(shop: Shop) -> None:
    shop.own("CREATE TABLE parts (id int) PARTITION BY LIST (id)")
    shop.own(
        "CREATE TABLE part PARTITION OF parts FOR VALUES IN (1)", f"CREATE PUBLICATION {PUBLICATION} FOR TABLE parts"
    )

    kept, _ = await _kept(shop, "public.parts")

    assert (kept.tables, kept.via_partition_root) == (("public.parts",), True)


@pytest.mark.parametrize("tables", [("public.none",), ("public.v", "public.u")])
async def test_what_cannot_be_published_is_left_out(shop: Shop, tables: tuple[str, ...]) -> None:
    shop.own("CREATE TABLE a (id int)", "CREATE VIEW v AS SELECT 1", "CREATE UNLOGGED TABLE u (id int)")
    await _kept(shop, "public.a")

    kept, deeds = await _kept(shop, *tables)

    assert kept.tables == ()
    assert [one.failure for one in deeds] == [None]


async def test_a_filter_of_somebody_is_taken_back(shop: Shop) -> None:
    shop.own("CREATE TABLE a (id int, v text)", f"CREATE PUBLICATION {PUBLICATION} FOR TABLE a (id) WHERE (id > 1)")

    kept, _ = await _kept(shop, "public.a")

    assert (kept.filtered, kept.tables) == ((), ("public.a",))


async def test_one_that_is_not_ours_is_never_altered(shop: Shop) -> None:
    shop.own("CREATE TABLE a (id int)", "CREATE TABLE b (id int)", f"CREATE PUBLICATION {PUBLICATION} FOR TABLE b")

    answer = await looked(shop.declared(tables=("public.a",)))
    found = seen(answer.publication)

    assert found is not None
    assert (found.tables, answer.deeds) == (("public.b",), ())


@pytest.mark.parametrize(
    ("denied", "kind"),
    [
        ("ALTER DATABASE shop OWNER TO postgres", "MakePublication"),
        ("ALTER TABLE a OWNER TO postgres", "MakePublication"),
    ],
)
async def test_a_right_that_is_missing_is_told_with_the_statement(shop: Shop, denied: str, kind: str) -> None:
    shop.own("CREATE TABLE a (id int)")
    shop.run(denied)

    (deed,) = (await looked(shop.declared(publication=KEPT, tables=("public.a",)))).deeds

    assert (deed.kind, deed.statement.startswith(f'CREATE PUBLICATION "{PUBLICATION}" FOR TABLE')) == (kind, True)
    assert deed.failure is not None
    assert deed.failure.cause == "RightMissing"


async def test_slot_and_publication_go_when_nobody_uses_the_slot(shop: Shop) -> None:
    shop.own(f"CREATE PUBLICATION {PUBLICATION}")
    shop.run(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')")

    answer = await looked(shop.declared(**DROPPED))
    again = await looked(shop.declared(**DROPPED))

    assert (seen(answer.slot), seen(answer.publication)) == (None, None)
    assert [(one.kind, one.failure) for one in answer.deeds] == [("DropSlot", None), ("DropPublication", None)]
    assert again.deeds == ()


async def test_a_slot_of_another_database_is_not_dropped(shop: Shop) -> None:
    shop.own(f"CREATE PUBLICATION {PUBLICATION}")
    shop.run("CREATE DATABASE elsewhere")
    try:
        elsewhere = shop.server.url("elsewhere")
        shop.slot_at(elsewhere)
        answer = await looked(shop.declared(**DROPPED))
        assert seen(answer.slot) is not None
        assert answer.deeds == ()
    finally:
        shop.run(f"SELECT pg_drop_replication_slot('{SLOT}')", "DROP DATABASE elsewhere")
