"""A connector whose Connector is gone leaves with its offsets, wherever the operator ends, unless they are kept."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from headrace_operator.plan import leaving
from tests.operator.reconcile.test_connector_life import NAME, PUT, Life, life

__all__ = ["life"]

pytestmark = pytest.mark.case("databases-12")

AT = f"/connectors/{NAME}"
STOP, FORGET, REMOVE = f"PUT {AT}/stop", f"DELETE {AT}/offsets", f"DELETE {AT}"
KEEP = {"offsets": "Keep"}


def delete(life: Life, name: str = "orders-db") -> Any:
    """Delete a Connector, and return what it was."""
    return life.shelf.objects.pop(("Connector", name))


def apply_again(life: Life, before: Any, **edits: Any) -> None:
    """Apply the manifest of a Connector that was deleted."""
    life.shelf.put(dataclasses.replace(before, uid="uid-of-the-next", status={}, generation=1, **edits))


def told(life: Life) -> Any:
    return life.shelf.objects["ConnectCluster", "main"].status.get("leaving")


async def test_it_is_stopped_its_offsets_are_removed_and_then_it_itself(life: Life) -> None:
    await life.look(3)
    before = life.fake.connectors[NAME].offsets
    delete(life)

    assert await life.look_at_workers(5) == [STOP, FORGET, REMOVE]
    assert before
    assert life.fake.kept[NAME] == []
    assert told(life) is None
    (note,) = [note for note in life.notes if note.reason == "OffsetsRemoved"]
    assert str(before[0]["offset"]["lsn"]) in note.message


async def test_what_is_kept_on_purpose_is_gone_on_from(life: Life) -> None:
    life.edit(onDelete=KEEP)
    await life.look(3)
    before, gone = life.fake.connectors[NAME].offsets, delete(life)

    assert await life.look_at_workers(3) == [REMOVE]
    apply_again(life, gone)
    await life.look_at_workers(1)
    assert await life.look(1) == [PUT]
    assert life.fake.connectors[NAME].offsets[0]["offset"]["lsn"] == before[0]["offset"]["lsn"] + 8


@pytest.mark.parametrize("looks", range(4))
async def test_one_that_is_applied_again_begins_anew_however_soon_that_is(life: Life, looks: int) -> None:
    """Also before anything of it was removed, by ``kubectl replace --force``: it waits until that is gone."""
    await life.look(3)
    gone = delete(life)
    await life.look_at_workers(looks)
    apply_again(life, gone)
    meanwhile = await life.look(3)
    reason = life.condition("Ready")["reason"]
    await life.look_at_workers(4)
    await life.look(3)

    assert (meanwhile, reason) == (([], "NamesakeLeaves") if looks < 3 else ([PUT], "Ready"))
    assert life.fake.kept[NAME] == []
    assert life.condition("Ready")["status"] == "True"
    assert life.fake.written().count(PUT) == 2
    assert await life.look_at_workers(2) == []


async def test_one_that_is_applied_again_goes_on_at_once_with_what_was_kept(life: Life) -> None:
    life.edit(onDelete=KEEP)
    await life.look(3)
    apply_again(life, delete(life))

    assert await life.look(3) == [PUT]
    assert await life.look_at_workers(3) == []
    assert life.condition("Ready")["status"] == "True"


@pytest.mark.parametrize("ends", range(4))
async def test_an_operator_that_ends_between_record_and_act_forgets_nothing(life: Life, ends: int) -> None:
    await life.look(3)
    delete(life)
    begun = len(life.fake.written())
    await life.look_at_workers(ends)
    await life.look_at_workers(1, record_only=True)
    await life.look_at_workers(5)

    assert life.fake.written()[begun:] == [STOP, FORGET, REMOVE]
    assert life.fake.kept[NAME] == []


@pytest.mark.parametrize("state", ["Paused", "Stopped"])
async def test_one_that_did_not_run_leaves_alike(life: Life, state: str) -> None:
    await life.look(3)
    life.edit(state=state)
    await life.look(3)
    delete(life)
    await life.look_at_workers(5)

    assert life.fake.kept[NAME] == []


async def test_a_connect_that_cannot_forget_is_not_asked_for_ever(life: Life) -> None:
    """It then goes with its offsets kept, which is told with what to do."""
    await life.look(3)
    delete(life)
    life.fake.lacks = frozenset({"stop", "offsets"})
    written = await life.look_at_workers(leaving.TRIES + 2, every=40)

    assert written == [*[STOP] * leaving.TRIES, REMOVE]
    assert life.fake.kept[NAME]
    (note,) = [note for note in life.notes if note.reason == "OffsetsStay"]
    assert "did not stop the connector" in note.message
    assert "headrace connector offsets reset" in note.message


async def test_time_in_which_nobody_asked_does_not_count(life: Life) -> None:
    """An operator that was away, and a Kafka Connect that was: its offsets go all the same."""
    await life.look(3)
    delete(life)
    await life.look_at_workers(1)
    life.now += timedelta(days=1)
    life.fake.lacks = frozenset({"offsets"})
    await life.look_at_workers(2)
    life.now += timedelta(days=1)
    life.fake.lacks = frozenset()
    await life.look_at_workers(3)

    assert life.fake.kept[NAME] == []


async def test_one_that_does_not_leave_holds_up_no_other(life: Life) -> None:
    await life.look(3)
    first = delete(life)
    for name in ("a-first", "z-last"):
        life.shelf.put(dataclasses.replace(first, name=name, uid=f"uid-{name}", status={}))
    life.fake.connectors |= {
        f"shop.{name}": dataclasses.replace(
            life.fake.connectors[NAME],
            config={**life.fake.connectors[NAME].config, "name": f"shop.{name}"},
        )
        for name in ("a-first", "z-last")
    }
    for name in ("a-first", "z-last"):
        delete(life, name)
    life.fake.lacks = frozenset({"shop.a-first/offsets"})
    await life.look_at_workers(9)

    assert list(life.fake.connectors) == ["shop.a-first"]
    assert [record["phase"] for record in told(life)] == ["Forgetting"]
    assert life.again == 3


async def test_an_answer_that_is_lost_is_no_harm(life: Life) -> None:
    """What was done is seen, and not done twice but for what is harmless."""
    await life.look(3)
    delete(life)
    life.fake.answers_late = True
    written = await life.look_at_workers(6)

    assert written == [STOP, FORGET, REMOVE]
    assert life.fake.kept[NAME] == []


async def test_workers_may_read_its_secret_until_it_is_gone_and_no_other(life: Life) -> None:
    """Kafka Connect reads it before it removes offsets; who writes into Kafka Connect gives nobody a right."""
    await life.look(3)
    delete(life)
    life.fake.connectors[NAME].config["password.of"] = "${secrets:shop/another:password}"
    await life.look_at_workers(2)

    assert await life.shelf.readable_secrets("shop", "main-connect") == {"shop-db"}
    await life.look_at_workers(3)
    assert await life.shelf.readable_secrets("shop", "main-connect") == frozenset()
