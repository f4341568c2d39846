"""A Connector that is deleted and applied again, on a real Kafka Connect, Debezium and database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.capturing import Capturing, slot

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-12")]

COLUMNS = "aggregatetype text, aggregateid text, type text, payload jsonb"
OUTBOX = f"CREATE TABLE public.outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), {COLUMNS})"
CAPTURES: dict[str, dict[str, Any]] = {
    "tables": {"tables": ["public.t"]},
    "outbox": {"outbox": {"table": "public.outbox"}},
}


def write(shop: Capturing, number: int) -> None:
    """Write one row into both kinds of table."""
    values = f"('order', '{number}', 'Created', '{{}}')"
    shop.run(
        f"INSERT INTO public.t VALUES ({number})",
        f"INSERT INTO public.outbox (aggregatetype, aggregateid, type, payload) VALUES {values}",
    )


def topic(shop: Capturing, capture: str) -> str:
    return f"shop.{shop.name}." + ("public.t" if capture == "tables" else "outbox.order")


async def numbers(shop: Capturing, capture: str, count: int) -> list[int]:
    """Wait for so many records, and return the row that each is of."""
    rows = await shop.rows_while_looking(topic(shop, capture), count)
    return [int("".join(filter(str.isdigit, (key or b"").decode()))) for key, _ in rows]


@pytest.fixture
async def shop(shop: Capturing) -> Capturing:
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)", OUTBOX)
    write(shop, 1)
    return shop


async def streams(shop: Capturing, capture: str, **spec: Any) -> None:
    """Capture until a row that was written to a running Connector has arrived."""
    shop.apply(shop.name, CAPTURES[capture], **spec)
    await shop.until(shop.name, "True", "Ready")
    write(shop, 2)
    assert await numbers(shop, capture, 2) == [1, 2]
    shop.apply(shop.name, CAPTURES[capture], state="Stopped", **spec)  # so that it has committed what it read
    await shop.until(shop.name, "True", "Stopped")


@pytest.mark.parametrize("capture", ["tables", pytest.param("outbox", marks=pytest.mark.sweep)])
async def test_one_that_is_applied_again_after_its_slot_was_dropped_brings_every_row(
    shop: Capturing, capture: str
) -> None:
    """As README says of removing it: nothing of the first is left."""
    await streams(shop, capture)
    await shop.delete(shop.name)
    shop.drop_slot()
    shop.run(f"DROP PUBLICATION {slot(shop.name)}", superuser=True)
    write(shop, 3)
    shop.apply(shop.name, CAPTURES[capture])
    await shop.until(shop.name, "True", "Ready")
    write(shop, 4)

    assert await numbers(shop, capture, 6) == [1, 2, 1, 2, 3, 4]


async def test_one_that_is_applied_again_at_once_reads_its_tables_anew_by_the_slot_there_is(shop: Capturing) -> None:
    await streams(shop, "tables")
    del shop.shelf.objects["Connector", shop.name]
    write(shop, 3)
    shop.apply(shop.name, CAPTURES["tables"])
    told = await shop.until(shop.name, "False", "NamesakeLeaves")
    await shop.until(shop.name, "True", "Ready")
    write(shop, 4)

    assert "is being removed, with its offsets" in told["message"]
    found = await numbers(shop, "tables", 6)
    assert found == [1, 2, 1, 2, 3, 4]


async def test_one_whose_offsets_are_kept_goes_on_where_it_was(shop: Capturing) -> None:
    kept = {"onDelete": {"offsets": "Keep"}}
    await streams(shop, "tables", **kept)
    await shop.delete(shop.name)
    write(shop, 3)
    shop.apply(shop.name, CAPTURES["tables"], **kept)
    await shop.until(shop.name, "True", "Ready")
    write(shop, 4)

    assert await numbers(shop, "tables", 4) == [1, 2, 3, 4]
