"""The source agent beside a real Debezium: what the operator makes of its word, and what the agent keeps for both."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.operator.capturing import Capturing, slot, watching
from tests.waiting import until

pytestmark = pytest.mark.slow

OF_THE_DATABASE = ("SourceReady", "SlotHealthy", "Streaming")


@pytest.fixture
async def shop(shop: Capturing, tmp_path: Path) -> AsyncIterator[Capturing]:
    """Run the operator's passes with an agent beside the workers."""
    async with watching(shop, tmp_path) as watched:
        yield watched


def told(shop: Capturing, kind: str) -> tuple[str, str]:
    """Return status and reason of a condition."""
    found = shop.condition(shop.name, kind)
    return found.get("status", ""), found.get("reason", "")


def status(shop: Capturing) -> dict[str, Any]:
    """Return the whole status of the shop's Connector."""
    return dict(shop.shelf.objects["Connector", shop.name].status)


async def well(shop: Capturing) -> None:
    """Await that the Connector is Ready, and everything about its database true."""
    await shop.await_(shop.name, lambda ready: ready["status"] == "True" and is_well(shop))


def is_well(shop: Capturing) -> bool:
    """Tell whether everything about the database is true."""
    return {told(shop, one)[0] for one in OF_THE_DATABASE} == {"True"}


async def keys(shop: Capturing, table: str, count: int) -> list[bytes]:
    """Return the keys of the first records of a table, while passes are made."""
    return sorted(key or b"" for key, _ in await shop.rows_while_looking(f"shop.{shop.name}.{table}", count))


def published(shop: Capturing) -> list[str]:
    """Return the tables of the Connector's publication."""
    query = f"SELECT tablename FROM pg_publication_tables WHERE pubname = '{slot(shop.name)}' ORDER BY 1"
    return [name for (name,) in shop.run(query)]


async def stopped(shop: Capturing, capture: dict[str, Any]) -> None:
    """Stop the connector."""
    shop.apply(shop.name, capture, state="Stopped")
    await shop.await_(shop.name, lambda _: shop.condition(shop.name, "Running")["reason"] == "Stopped")


async def test_a_database_is_told_of_while_a_table_is_added(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.a (id int PRIMARY KEY)", "CREATE TABLE public.b (id int PRIMARY KEY)")
    shop.run("INSERT INTO public.a VALUES (1)")
    shop.apply(shop.name, {"tables": ["public.a"]})
    await well(shop)
    before = published(shop)
    shop.apply(shop.name, {"tables": ["public.a", "public.b"]})
    await shop.streams(shop.name, lambda: published(shop) == ["a", "b"])
    shop.run("INSERT INTO public.b VALUES (2)", "INSERT INTO public.a VALUES (3)")

    assert before == ["a"]
    assert await keys(shop, "public.b", 1) == [b'{"id":2}']
    assert await keys(shop, "public.a", 2) == [b'{"id":1}', b'{"id":3}']
    await well(shop)
    (identifier,) = shop.run("SELECT system_identifier::text FROM pg_control_system()", superuser=True)[0]
    assert status(shop)["systemIdentifier"] == identifier
    assert status(shop)["lagBytes"] >= 0


@pytest.mark.case("databases-5")
async def test_a_table_that_is_made_later_is_awaited_and_its_first_rows_come(shop: Capturing) -> None:
    shop.apply(shop.name, {"tables": ["public.t"]})
    await shop.until(shop.name, "False", "TableMissing")
    refused = shop.condition(shop.name, "Accepted")
    there = status(shop).get("tasks")
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", "INSERT INTO public.t VALUES (1)")
    await well(shop)

    assert refused["status"] == "False"
    assert "public.t" in refused["message"]
    assert not there
    assert await keys(shop, "public.t", 1) == [b'{"id":1}']


@pytest.mark.case("databases-12")
async def test_a_slot_that_is_dropped_while_stopped_is_told_and_its_steps_bring_every_row(shop: Capturing) -> None:
    capture = {"tables": ["public.t"]}
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", "INSERT INTO public.t VALUES (1)")
    shop.apply(shop.name, capture)
    await well(shop)
    await keys(shop, "public.t", 1)
    await stopped(shop, capture)
    shop.drop_slot()
    shop.run("INSERT INTO public.t VALUES (2)")
    shop.apply(shop.name, capture)
    lost = await shop.await_(shop.name, lambda _: told(shop, "SlotHealthy") == ("False", "SlotLost"))
    (action,) = re.findall(rf"headrace connector offsets (\w+) {shop.name} -n shop", lost["message"])
    await shop.ask("offsets", json.dumps({"id": "1", "action": action}))
    await well(shop)

    assert lost["status"] == "False"
    assert set(await keys(shop, "public.t", 3)) == {b'{"id":1}', b'{"id":2}'}


@pytest.mark.case("databases-12")
async def test_a_slot_that_is_lost_is_made_anew_by_itself_where_that_is_asked_for(shop: Capturing) -> None:
    """The server lets go of what the slot keeps, as ``max_slot_wal_keep_size`` has it do."""
    capture, postgres = {"tables": ["public.t"]}, {**shop.postgres, "onSlotLost": "Resnapshot"}
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", "INSERT INTO public.t VALUES (1)")
    shop.apply(shop.name, capture, postgres=postgres)
    await well(shop)
    await keys(shop, "public.t", 1)
    shop.apply(shop.name, capture, postgres=postgres, state="Stopped")
    await shop.await_(shop.name, lambda _: shop.condition(shop.name, "Running")["reason"] == "Stopped")
    shop.run("INSERT INTO public.t VALUES (2)")
    lose_slots(shop)
    shop.apply(shop.name, capture, postgres=postgres)
    await well(shop)

    assert set(await keys(shop, "public.t", 3)) == {b'{"id":1}', b'{"id":2}'}


def lose_slots(shop: Capturing) -> None:
    """Have the server keep a megabyte for slots, until it has lost that of the shop, which may be dropped at once."""
    shop.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()", superuser=True)
    try:
        until("the slot's loss", lambda: _writes_much(shop) in ([], ["lost"]))
    finally:
        shop.run("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()", superuser=True)


def _writes_much(shop: Capturing) -> list[str]:
    """Write a segment of log and return how the slot is then, as far as it is there."""
    noise = "SELECT pg_logical_emit_message(false, 'noise', repeat('x', 20000000))"
    shop.run(noise, "SELECT pg_switch_wal()", "CHECKPOINT", superuser=True)
    found = shop.run(f"SELECT wal_status FROM pg_replication_slots WHERE slot_name = '{slot(shop.name)}'")
    return [str(status) for (status,) in found]


@pytest.mark.case("databases-1")
async def test_a_login_that_is_refused_names_its_secret_and_rows_flow_once_it_fits(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)")
    shop.apply(shop.name, {"tables": ["public.t"]})
    await well(shop)
    shop.set_password("second")
    shop.run("INSERT INTO public.t VALUES (1)")
    await shop.await_(shop.name, lambda _: told(shop, "SourceReady") == ("False", "LoginRefused"))
    refused = shop.condition(shop.name, "SourceReady")["message"]
    shop.write_secret("second")
    await shop.await_(shop.name, lambda ready: ready["reason"] == "Recovering" and is_well(shop))

    assert f"Secret {shop.name}" in refused
    assert await keys(shop, "public.t", 1) == [b'{"id":1}']
    assert shop.agent is not None
    assert "second" not in shop.agent.log


@pytest.mark.case("databases-12")
@pytest.mark.case("databases-13")
async def test_slot_and_publication_go_with_the_connector_where_that_is_asked_for(shop: Capturing) -> None:
    """Those of others stay, also where they have rows to read; one that is applied again finds every row."""
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", "INSERT INTO public.t VALUES (1)")
    shop.run("SELECT pg_create_logical_replication_slot('of_others', 'pgoutput')", superuser=True)
    shop.run("CREATE PUBLICATION of_others FOR TABLE public.t")
    capture, gone = {"tables": ["public.t"]}, {"onDelete": {"slot": "Delete"}}
    shop.apply(shop.name, capture, **gone)
    await well(shop)
    await keys(shop, "public.t", 1)
    await shop.delete(shop.name)
    left = shop.run("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()", superuser=True)
    publications = shop.run("SELECT pubname FROM pg_publication")
    shop.run("INSERT INTO public.t VALUES (2)", "SELECT pg_drop_replication_slot('of_others')", superuser=True)
    shop.apply(shop.name, capture, **gone)
    await well(shop)

    assert (left, publications) == ([("of_others",)], [("of_others",)])
    assert await keys(shop, "public.t", 3) == [b'{"id":1}', b'{"id":1}', b'{"id":2}']


@pytest.mark.case("databases-12")
async def test_a_publication_of_the_users_stays_while_the_slot_goes(shop: Capturing) -> None:
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", "INSERT INTO public.t VALUES (1)")
    shop.run("CREATE PUBLICATION mine FOR TABLE public.t WITH (publish_via_partition_root = true)")
    own = {"postgres": {**shop.postgres, "publication": "mine"}}
    shop.apply(shop.name, {"tables": ["public.t"]}, onDelete={"slot": "Delete"}, **own)
    await well(shop)
    await shop.delete(shop.name)

    assert shop.run("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()") == []
    assert shop.run("SELECT pubname FROM pg_publication") == [("mine",)]
