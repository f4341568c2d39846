"""What people do while a Snapshot of a real Debezium is under way: it ends, says how, and nothing else suffers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator import snapshotting
from tests.operator.capturing import Capturing
from tests.operator.reconcile.test_snapshots_debezium import PIECES, ROWS, SLOWLY, captured, phase

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-5")]

BOTH = ("public.a", "public.b")
KEYED = "CREATE TABLE {0} (id int PRIMARY KEY)"
WRONG = [{"table": "public.a", "where": "id = = 3"}]
OVER = phase("Completed", "Failed")


async def prepared(shop: Capturing, rows: int = 1500, **more: Any) -> None:
    """Capture two tables, of which the one has rows."""
    shop.run(*map(KEYED.format, BOTH), ROWS.format("public.a", rows), "ANALYZE public.a")
    await captured(shop, *BOTH, config=PIECES, **more)


async def begun(shop: Capturing, name: str = "first", **more: Any) -> None:
    """Begin to read the table of rows, slowly."""
    snapshotting.apply(shop, name, tables=["public.a"], filter=SLOWLY, **more)
    await snapshotting.until(shop, name, phase("Running"))


async def goes_on(shop: Capturing) -> None:
    """See that a change is captured, and that another Snapshot is taken, of another table."""
    topic = f"shop.{shop.name}.public.b"
    before = shop.count(topic)
    shop.run("INSERT INTO public.b SELECT max(id) + 1 FROM (SELECT id FROM public.b UNION SELECT 0) AS b (id)")
    rows = shop.run("SELECT id FROM public.b")
    await shop.rows_while_looking(topic, before + 1)
    snapshotting.apply(shop, "afterwards", tables=["public.b"])
    done = await snapshotting.until(shop, "afterwards", OVER)
    assert (done["phase"], done["rows"]) == ("Completed", len(rows)), done


async def all_came_twice(shop: Capturing) -> None:
    """See that each row is in its topic from the beginning, and once more."""
    topic = f"shop.{shop.name}.public.a"
    keys = [key for key, _ in await shop.rows(topic, shop.count(topic))]
    assert {number for number in range(1, 1501) if keys.count(f'{{"id":{number}}}'.encode()) < 2} == set()


def why(shop: Capturing, name: str = "first") -> str:
    """Return what is said of a Snapshot."""
    return str(snapshotting.condition(shop, name, "Completed")["message"])


@pytest.mark.parametrize(
    ("kind", "word"), [("Incremental", "SQL_EXCEPTION; the database refused the query"), ("Blocking", "ABORTED")]
)
async def test_a_filter_that_is_no_sql_fails_and_says_so(shop: Capturing, kind: str, word: str) -> None:
    await prepared(shop, 3)
    snapshotting.apply(shop, "first", tables=["public.a"], type=kind, filter=WRONG)
    done = await snapshotting.until(shop, "first", OVER)

    assert done["phase"] == "Failed"
    assert word in why(shop)
    assert "filter that is no SQL" in why(shop)
    await goes_on(shop)


async def test_a_table_that_is_dropped_meanwhile(shop: Capturing) -> None:
    await prepared(shop)
    await begun(shop)
    shop.run("DROP TABLE public.a")
    done = await snapshotting.until(shop, "first", OVER)

    assert (done["phase"], "public.a" in why(shop)) == ("Failed", True), why(shop)
    await goes_on(shop)


async def test_a_table_that_is_captured_no_more(shop: Capturing) -> None:
    await prepared(shop)
    await begun(shop)
    shop.apply(shop.name, {"tables": ["public.b"]}, config=PIECES)
    done = await snapshotting.until(shop, "first", OVER)

    assert done["phase"] == "Failed"
    assert "public.a UNKNOWN_SCHEMA; it was dropped, or is captured no more" in why(shop)
    await goes_on(shop)


async def test_two_of_one_table_are_taken_one_after_the_other(shop: Capturing) -> None:
    await prepared(shop, 50)
    for name in ("first", "second"):
        snapshotting.apply(shop, name, tables=["public.a"])
    both = [await snapshotting.until(shop, name, OVER) for name in ("first", "second")]
    await shop.rows(f"shop.{shop.name}.public.a", 150)

    assert [(one["phase"], one["rows"]) for one in both] == [("Completed", 50), ("Completed", 50)]
    assert shop.count(f"shop.{shop.name}.public.a") == 150


async def test_it_goes_on_where_its_connector_was_paused(shop: Capturing) -> None:
    await prepared(shop)
    await begun(shop)
    shop.apply(shop.name, {"tables": list(BOTH)}, config=PIECES, state="Paused")
    await shop.await_(shop.name, lambda _: shop.shelf.objects["Connector", shop.name].status.get("state") == "PAUSED")
    for _ in range(3):
        await snapshotting.look(shop, "first")
    meanwhile = snapshotting.status(shop, "first")["phase"]
    shop.apply(shop.name, {"tables": list(BOTH)}, config=PIECES)
    done = await snapshotting.until(shop, "first", OVER)

    assert (meanwhile, done["phase"], done["rows"]) == ("Running", "Completed", 1500), why(shop)


@pytest.mark.parametrize(("kind", "phase"), [("Incremental", "Completed"), ("Blocking", "Failed")])
async def test_a_restart_ends_one_that_blocks_and_no_other(shop: Capturing, kind: str, phase: str) -> None:
    """Another one can be taken afterwards: offsets speak of one that blocks for good."""
    await prepared(shop)
    await begun(shop, type=kind)
    await shop.ask("restart", "one")
    done = await snapshotting.until(shop, "first", OVER)

    assert done["phase"] == phase, why(shop)
    await goes_on(shop)
    if kind == "Incremental":
        await all_came_twice(shop)


async def test_it_ends_with_its_connector_and_a_new_one_takes_others(shop: Capturing) -> None:
    await prepared(shop)
    await begun(shop)
    await shop.delete(shop.name)
    await snapshotting.look(shop, "first")

    assert snapshotting.status(shop, "first")["phase"] == "Failed"
    assert "Its Connector was deleted" in why(shop)
    await captured(shop, *BOTH, config=PIECES)
    await goes_on(shop)


async def test_it_ends_once_the_secret_has_the_new_password(shop: Capturing) -> None:
    """It goes on; but a table whose query was under way as the connection ended is told as not read."""
    await prepared(shop)
    await begun(shop)
    shop.set_password("second")
    await shop.await_(shop.name, lambda ready: ready["status"] == "False")
    shop.write_secret("second")
    done = await snapshotting.until(shop, "first", OVER)

    if done["phase"] == "Completed":
        await all_came_twice(shop)
    else:
        assert "public.a SQL_EXCEPTION" in why(shop)
        assert "ended the connection" in why(shop)
    await goes_on(shop)
