"""Failures of a running Debezium on a real database: each is told, and ends when its cause does."""

from __future__ import annotations

import pytest

from tests.operator.capturing import Capturing, slot

pytestmark = pytest.mark.slow


@pytest.fixture
async def shop(shop: Capturing) -> Capturing:
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)")
    return shop


async def captured(shop: Capturing, **postgres: object) -> str:
    """Have the table captured, and return its topic."""
    shop.apply(shop.name, {"tables": ["public.t"]}, postgres={**shop.postgres, **postgres})
    await shop.until(shop.name, "True", "Ready")
    return f"shop.{shop.name}.public.t"


@pytest.mark.case("databases-1")
async def test_a_password_that_changes_in_database_and_secret_loses_no_row(shop: Capturing) -> None:
    topic = await captured(shop)
    shop.set_password("second")
    shop.run("INSERT INTO public.t VALUES (1)")
    failed = await shop.await_(shop.name, lambda ready: "password authentication failed" in ready["message"])
    shop.write_secret("second")
    mended = await shop.until(shop.name, "False", "Recovering")

    assert (failed["status"], failed["reason"]) == ("False", "TaskFailed")
    assert "password authentication failed" in mended["message"]
    assert (await shop.rows_while_looking(topic, 1))[0][0] == b'{"id":1}'


@pytest.mark.case("databases-1")
async def test_a_database_that_is_away_is_told_and_its_rows_come_afterwards(shop: Capturing) -> None:
    with shop.door() as door:
        topic = await captured(shop, port=door.port)
        door.shut()
        failed = await shop.until(shop.name, "False", "TaskFailed")
        shop.run("INSERT INTO public.t VALUES (2)")
        door.open()
        await shop.until(shop.name, "False", "Recovering")

        assert failed["message"]
        assert (await shop.rows_while_looking(topic, 1))[0][0] == b'{"id":2}'


@pytest.mark.case("databases-1")
async def test_a_task_that_starts_while_the_database_is_away_is_told(shop: Capturing) -> None:
    """Debezium says that it runs, and tries for ever to start; so it does after a move to another worker."""
    with shop.door() as door:
        topic = await captured(shop, port=door.port)
        postgres, tables = {**shop.postgres, "port": door.port}, {"tables": ["public.t"]}
        shop.apply(shop.name, tables, postgres=postgres, state="Stopped")
        await shop.await_(shop.name, lambda _: shop.condition(shop.name, "Running")["reason"] == "Stopped")
        door.shut()
        shop.apply(shop.name, tables, postgres=postgres)
        failed = await shop.until(shop.name, "False", "TaskFailed")
        tasks = shop.shelf.objects["Connector", shop.name].status["tasks"]
        shop.run("INSERT INTO public.t VALUES (6)")
        door.open()
        await shop.await_(shop.name, lambda ready: ready["reason"] in ("Recovering", "Ready"))

        assert "refused" in failed["message"]
        assert [task["state"] for task in tasks] == ["FAILED"]
        assert (await shop.rows_while_looking(topic, 1))[0][0] == b'{"id":6}'


@pytest.mark.case("databases-1")
async def test_a_slot_that_another_holds_is_told_and_rows_come_once_it_is_free(shop: Capturing) -> None:
    topic = await captured(shop)
    with shop.holding(slot(shop.name)):
        shop.run("INSERT INTO public.t VALUES (3)")
        failed = await shop.await_(shop.name, lambda ready: "is active for PID" in ready["message"])
    await shop.until(shop.name, "False", "Recovering")

    assert (failed["status"], failed["reason"]) == ("False", "TaskFailed")
    assert (await shop.rows_while_looking(topic, 1))[0][0] == b'{"id":3}'


@pytest.mark.case("databases-1")
async def test_a_publication_that_is_dropped_is_told(shop: Capturing) -> None:
    """What was changed since can be read by nobody; docs/capturing-tables.md says how to go on behind it.

    Where Kafka Connect did not keep the end of its snapshot yet, a new one reads that, too.
    """
    topic, own = await captured(shop), slot(shop.name)
    shop.run(f"DROP PUBLICATION {own}", "INSERT INTO public.t VALUES (4)")
    failed = await shop.until(shop.name, "False", "TaskFailed")
    trusting = {"config": {"offset.mismatch.strategy": "trust_greater_lsn"}}
    shop.apply(shop.name, {"tables": ["public.t"]}, state="Stopped", **trusting)
    await shop.await_(shop.name, lambda _: shop.condition(shop.name, "Running")["reason"] == "Stopped")
    shop.run(f"SELECT pg_replication_slot_advance('{own}', pg_current_wal_lsn())", superuser=True)
    shop.apply(shop.name, {"tables": ["public.t"]}, **trusting)
    await shop.streams(shop.name, lambda: shop.run("SELECT pubname FROM pg_publication") == [(own,)])
    shop.run("INSERT INTO public.t VALUES (5)")

    assert f'publication "{own}" does not exist' in failed["message"]
    keys = [key for key, _ in await shop.rows_while_looking(topic, 1)]
    if keys == [b'{"id":4}']:
        keys = [key for key, _ in await shop.rows_while_looking(topic, 2)][1:]
    assert keys == [b'{"id":5}']
