"""Snapshots of a real Debezium on a real database, from the resource to the rows in Kafka."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.operator import snapshotting
from tests.operator.capturing import Capturing

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-5")]

FILTER = [{"table": "public.a", "where": "id <= 10"}]
PIECES = {"incremental.snapshot.chunk.size": "1"}
SLOWLY = [{"table": "public.a", "where": "pg_sleep(0.02)::text = ''"}]
"""One row after another, by the key of an analyzed table: 1500 take half a minute however fast the machine is."""

ROWS = "INSERT INTO {0} SELECT * FROM generate_series(1, {1})"


def phase(*wanted: str) -> Any:
    return lambda told: told.get("phase") in wanted


async def captured(shop: Capturing, *tables: str, **more: Any) -> None:
    """Capture tables, and wait until their topics have every row and the connector reads changes."""
    shop.apply(shop.name, {"tables": list(tables)}, **more)
    await shop.until(shop.name, "True", "Ready")


async def test_a_table_that_is_added_later_gets_its_earlier_rows(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)", "CREATE TABLE public.b (id int PRIMARY KEY)")
    shop.run(ROWS.format("public.a", 3), ROWS.format("public.b", 2500))
    await captured(shop, "public.a")
    topic = f"shop.{shop.name}.public.b"
    snapshotting.apply(shop, "earlier", tables=["public.b"])
    refused = await snapshotting.until(shop, "earlier", phase("Pending"))
    why = snapshotting.condition(shop, "earlier", "Accepted")
    sent = f"shop.{shop.name}.signals" in shop.topics()

    shop.apply(shop.name, {"tables": ["public.a", "public.b"]})
    await snapshotting.until(shop, "earlier", phase("Completed", "Failed"))
    told = snapshotting.status(shop, "earlier")
    assert (told["phase"], told["tablesDone"], told["rows"]) == ("Completed", "1/1", 2500), told
    await shop.rows(topic, 2500)
    again = [await snapshotting.look(shop, "earlier") for _ in range(3)]
    snapshotting.apply(shop, "earlier", tables=["public.b"])
    again.append(await snapshotting.look(shop, "earlier"))

    assert (why["status"], why["reason"], sent) == ("False", "TableNotCaptured", False)
    assert "public.b" in why["message"], refused
    assert again == [0, 0, 0, 0]
    assert (shop.count(topic), shop.count(f"shop.{shop.name}.public.a")) == (2500, 3)
    assert snapshotting.condition(shop, "earlier", "Ready")["reason"] == "SnapshotCompleted"


async def test_a_task_that_runs_its_former_configuration_is_asked_once_more(shop: Capturing) -> None:
    """It reads signals until it is stopped, which may be after the new configuration is accepted."""
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)", "CREATE TABLE public.b (id int PRIMARY KEY)")
    shop.run(ROWS.format("public.b", 5))
    await captured(shop, "public.a")
    snapshotting.apply(shop, "listens", tables=["public.a"])
    await snapshotting.until(shop, "listens", phase("Completed"))
    shop.apply(shop.name, {"tables": ["public.a", "public.b"]})
    connector = shop.shelf.objects["Connector", shop.name]
    accepted = {**connector.status["accepted"], "spec": connector.spec}
    shop.shelf.put(dataclasses.replace(connector, status={**connector.status, "accepted": accepted}))
    snapshotting.apply(shop, "early", tables=["public.b"])
    await snapshotting.until(shop, "early", lambda told: told.get("signal", {}).get("again"), alone=True)
    meanwhile = snapshotting.condition(shop, "early", "Completed")
    done = await snapshotting.until(shop, "early", phase("Completed", "Failed"))
    await shop.rows(f"shop.{shop.name}.public.b", 5)

    assert meanwhile["status"] == "Unknown"
    assert (done["phase"], done["tablesDone"], done["rows"]) == ("Completed", "1/1", 5), done


async def test_a_connector_says_whose_earlier_rows_nobody_has_read(shop: Capturing) -> None:
    """Until a Snapshot has read them, or says by its filter that nobody needs them."""
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)", "CREATE TABLE public.b (id int PRIMARY KEY)")
    shop.run(ROWS.format("public.a", 3), ROWS.format("public.b", 5))
    await captured(shop, "public.a")
    at_first = shop.condition(shop.name, "RowsRead")
    shop.apply(shop.name, {"tables": ["public.a", "public.b"]})
    await shop.await_(shop.name, lambda _: bool(shop.condition(shop.name, "RowsRead")))
    told = shop.condition(shop.name, "RowsRead")
    snapshotting.apply(shop, "none", tables=["public.b"], filter=[{"table": "public.b", "where": "false"}])
    done = await snapshotting.until(shop, "none", phase("Completed", "Failed"))
    await shop.until(shop.name, "True", "Ready")

    assert at_first == {}
    assert (told["status"], told["reason"]) == ("False", "RowsNotRead")
    assert "public.b" in told["message"]
    assert done["phase"] == "Completed"
    assert shop.condition(shop.name, "RowsRead") == {}


async def test_it_rests_and_goes_on_as_its_spec_says_and_every_row_comes_once(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)", ROWS.format("public.a", 1500), "ANALYZE public.a")
    await captured(shop, "public.a", config=PIECES)
    topic = f"shop.{shop.name}.public.a"
    snapshotting.apply(shop, "whole", tables=["public.a"], filter=SLOWLY)
    await snapshotting.until(shop, "whole", phase("Running"))
    snapshotting.apply(shop, "whole", tables=["public.a"], filter=SLOWLY, paused=True)
    await snapshotting.until(shop, "whole", phase("Paused"))
    told = snapshotting.condition(shop, "whole", "Completed")
    counts = [shop.count(topic)]
    for _ in range(5):
        await snapshotting.look(shop, "whole")
        counts.append(shop.count(topic))
    snapshotting.apply(shop, "whole", tables=["public.a"], filter=SLOWLY, paused=False)
    last = await snapshotting.until(shop, "whole", phase("Completed", "Failed"))
    await shop.rows(topic, 3000)

    assert (told["status"], told["reason"]) == ("False", "Paused")
    assert counts[0] < 3000
    assert len(set(counts[1:])) == 1
    assert (last["phase"], last["rows"], shop.count(topic)) == ("Completed", 1500, 3000)


async def test_a_table_without_a_key_is_read_by_a_blocking_one(shop: Capturing) -> None:
    """What an incremental one cannot read fails in Debezium's word; a filter chooses rows of either."""
    shop.run("CREATE TABLE public.a (id int)", "CREATE TABLE public.b (id int PRIMARY KEY)")
    shop.run(ROWS.format("public.a", 100), ROWS.format("public.b", 50))
    await captured(shop, "public.a", "public.b")
    topics = {one: f"shop.{shop.name}.public.{one}" for one in "ab"}
    snapshotting.apply(shop, "pieces", tables=["public.a"])
    snapshotting.apply(shop, "blocks", tables=["public.a", "public.b"], type="Blocking", filter=FILTER)
    await snapshotting.until(shop, "blocks", lambda told: told.get("phase") == "Pending")
    failed = await snapshotting.until(shop, "pieces", phase("Completed", "Failed"))
    why = snapshotting.condition(shop, "pieces", "Completed")
    done = await snapshotting.until(shop, "blocks", phase("Completed", "Failed"))
    shop.run("INSERT INTO public.b VALUES (1000)")
    await shop.rows(topics["b"], 101)

    assert (failed["phase"], why["reason"]) == ("Failed", "TableNotRead")
    assert "NO_PRIMARY_KEY" in why["message"]
    assert (done["phase"], done["tablesDone"], done["rows"]) == ("Completed", "2/2", 60)
    assert [shop.count(topics[one]) for one in "ab"] == [110, 101]


async def test_rows_of_an_outbox_come_once_more(shop: Capturing) -> None:
    shop.run(
        "CREATE TABLE public.outbox (id int PRIMARY KEY, aggregatetype text, aggregateid text, type text, "
        "payload text)",
        "INSERT INTO public.outbox SELECT id, 'order', id::text, 'made', 'x' FROM generate_series(1, 30) AS id",
    )
    shop.apply(shop.name, {"outbox": {"table": "public.outbox"}})
    await shop.until(shop.name, "True", "Ready")
    snapshotting.apply(shop, "again", tables=["public.outbox"], filter=[{"table": "public.outbox", "where": "id > 20"}])
    done = await snapshotting.until(shop, "again", phase("Completed", "Failed"))
    rows = await shop.rows(f"shop.{shop.name}.outbox.order", 40)

    assert (done["phase"], done["rows"]) == ("Completed", 10)
    assert [int(key or b"0") for key, _ in rows[30:]] == list(range(21, 31))


async def test_one_that_is_deleted_ends(shop: Capturing) -> None:
    """Also one that rests; the next one begins after it."""
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)", ROWS.format("public.a", 1500), "ANALYZE public.a")
    await captured(shop, "public.a", config=PIECES)
    snapshotting.apply(shop, "gone", tables=["public.a"], filter=SLOWLY)
    await snapshotting.until(shop, "gone", phase("Running"))
    snapshotting.apply(shop, "gone", tables=["public.a"], filter=SLOWLY, paused=True)
    await snapshotting.until(shop, "gone", phase("Paused"))
    await shop.await_(shop.name, lambda _: bool(shop.shelf.objects["Connector", shop.name].status.get("snapshot")))
    shop.shelf.objects.pop(("Snapshot", "gone"))
    snapshotting.apply(shop, "next", tables=["public.a"], filter=[{"table": "public.a", "where": "id <= 5"}])
    await snapshotting.until(shop, "next", lambda told: told.get("phase") == "Pending")
    waits = snapshotting.condition(shop, "next", "Completed")["reason"]
    done = await snapshotting.until(shop, "next", phase("Completed", "Failed"))

    assert (waits, done["phase"], done["rows"]) == ("OtherSnapshotRuns", "Completed", 5)
    assert shop.count(f"shop.{shop.name}.public.a") < 3000
