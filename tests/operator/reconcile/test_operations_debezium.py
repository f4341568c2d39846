"""What is asked of a Connector once, on a real Debezium and its database: the way back from a slot that is gone."""

from __future__ import annotations

import json

import pytest

from tests.operator.capturing import Capturing

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-12")]


@pytest.fixture
async def shop(shop: Capturing) -> Capturing:
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", "INSERT INTO public.t VALUES (1)")
    shop.apply(shop.name, {"tables": ["public.t"]})
    await shop.until(shop.name, "True", "Ready")
    return shop


async def keys(shop: Capturing, count: int) -> list[bytes | None]:
    return [key for key, _ in await shop.rows(f"shop.{shop.name}.public.t", count)]


async def test_a_slot_that_is_gone_is_told_with_the_way_back_and_that_brings_every_row(shop: Capturing) -> None:
    await keys(shop, 1)
    await shop.await_(shop.name, lambda _: bool(shop.shelf.objects["Connector", shop.name].status.get("offsets")))
    shop.apply(shop.name, {"tables": ["public.t"]}, state="Stopped")
    await shop.until(shop.name, "True", "Stopped")
    shop.drop_slot()
    shop.run("INSERT INTO public.t VALUES (2)")
    shop.apply(shop.name, {"tables": ["public.t"]})
    told = await shop.until(shop.name, "False", "RestartInVain")
    await shop.ask("offsets", json.dumps({"id": "one", "action": "reset"}))
    await shop.until(shop.name, "True", "Ready")

    assert f"headrace connector offsets reset {shop.name} -n shop" in told["message"]
    assert await keys(shop, 3) == [b'{"id":1}', b'{"id":1}', b'{"id":2}']
    operation = shop.shelf.objects["Connector", shop.name].status["operations"]["offsets"]
    assert operation["phase"] == "Done"
    assert operation["previous"][0]["offset"]["lsn"] > 0


async def test_a_restart_loses_no_row(shop: Capturing) -> None:
    await keys(shop, 1)
    shop.run("INSERT INTO public.t VALUES (2)")
    await shop.ask("restart", "one")
    shop.run("INSERT INTO public.t VALUES (3)")
    await shop.until(shop.name, "True", "Ready")

    assert set(await keys(shop, 3)) == {b'{"id":1}', b'{"id":2}', b'{"id":3}'}
