"""What annotations ask of a Connector: done once, over a Kafka Connect that answers, wherever the operator ends."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.connect import Task
from tests.operator.reconcile.test_connector_life import NAME, PUT, RESTART, Life, life

__all__ = ["life"]

pytestmark = pytest.mark.case("databases-12")

AT = f"/connectors/{NAME}"
STOP, RESUME = f"PUT {AT}/stop", f"PUT {AT}/resume"
RESET, SET = f"DELETE {AT}/offsets", f"PATCH {AT}/offsets"
LSN = 4711


def ask(life: Life, **asked: str) -> None:
    """Annotate the Connector."""
    old = life.shelf.objects["Connector", "orders-db"]
    life.shelf.put(dataclasses.replace(old, asked={**old.asked, **asked}))


def reset(word: str) -> str:
    return json.dumps({"id": word, "action": "reset"})


def document(**offset: Any) -> list[dict[str, Any]]:
    return [{"partition": {"server": NAME}, "offset": {"lsn": LSN, **offset}}]


def setting(word: str, offsets: Any) -> str:
    return json.dumps({"id": word, "action": "set", "offsets": offsets})


def offsets(life: Life) -> Any:
    return life.fake.connectors[NAME].offsets


async def test_a_restart_is_made_once(life: Life) -> None:
    await life.look(3)
    ask(life, restart="one")

    assert await life.look(5) == [STOP, RESUME]
    assert life.status["operations"]["restart"]["phase"] == "Done"
    assert life.condition("Ready")["status"] == "True"
    ask(life, restart="two")
    assert await life.look(4) == [STOP, RESUME]
    assert life.status["operations"]["restart"]["id"] == "two"


async def test_while_it_stands_it_is_not_ready_and_says_why(life: Life) -> None:
    await life.look(3)
    ask(life, restart="one")
    await life.look(1)

    assert life.condition("Ready")["reason"] == "Operating"
    assert "Restart (one)" in life.condition("Running")["message"]
    assert life.again == 1


async def test_restarts_that_were_used_up_are_counted_anew(life: Life) -> None:
    life.edit(restart={"maxAttempts": 0})
    await life.look(3)
    life.fake.fail(NAME, "java.lang.Error: no slot")
    await life.look(2)
    assert life.condition("Ready")["reason"] == "RestartsExhausted"
    ask(life, restart="one")

    assert await life.look(4) == [STOP, RESUME]
    assert life.condition("Ready")["status"] == "True"


async def test_what_the_manifest_has_from_the_start_asks_for_nothing(life: Life) -> None:
    ask(life, restart="one", offsets=reset("one"))

    assert await life.look(4) == [PUT]
    assert {one["phase"] for one in life.status["operations"].values()} == {"Refused"}


@pytest.mark.parametrize("state", ["Paused", "Stopped"])
async def test_what_shall_not_run_is_not_restarted(life: Life, state: str) -> None:
    life.edit(state=state)
    await life.look(3)
    ask(life, restart="one")

    assert await life.look(3) == []
    assert life.status["operations"]["restart"]["phase"] == "Refused"
    assert state in life.status["operations"]["restart"]["message"]


async def test_offsets_are_reset_once_and_those_of_before_are_saved(life: Life) -> None:
    await life.look(3)
    before = offsets(life)
    ask(life, offsets=reset("one"))

    assert await life.look(5) == [STOP, RESET, RESUME]
    assert life.status["operations"]["offsets"]["previous"] == before
    assert life.status["operations"]["offsets"]["phase"] == "Done"
    assert await life.look(3) == []


async def test_offsets_are_set_and_set_back(life: Life) -> None:
    await life.look(3)
    ask(life, offsets=setting("one", document(ts_usec=1)))
    assert await life.look(2) == [STOP, SET]
    assert offsets(life) == document(ts_usec=1)
    assert await life.look(3) == [RESUME]

    ask(life, offsets=setting("two", life.status["operations"]["offsets"]["previous"]))
    assert await life.look(4) == [STOP, SET, RESUME]


async def test_one_partition_is_forgotten_where_its_offset_is_null(life: Life) -> None:
    await life.look(3)
    ask(life, offsets=setting("one", [{"partition": {"server": NAME}, "offset": None}]))

    assert await life.look(2) == [STOP, SET]
    assert offsets(life) == []
    assert await life.look(3) == [RESUME]
    assert life.status["operations"]["offsets"]["phase"] == "Done"


@pytest.mark.parametrize("state", ["Paused", "Stopped"])
async def test_offsets_of_what_shall_not_run_are_changed_and_it_runs_no_more_than_before(
    life: Life, state: str
) -> None:
    await life.look(3)
    life.edit(state=state)
    await life.look(3)
    ask(life, offsets=reset("one"))
    written = await life.look(5)

    assert RESUME not in written
    assert life.fake.connectors[NAME].state == state.upper()
    assert offsets(life) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        (json.dumps({"id": "x", "action": "set"}), "belong to the action set"),
        (json.dumps({"id": "x", "action": "reset", "offsets": document()}), "belong to the action set"),
        (json.dumps({"id": "", "action": "reset"}), "id"),
        (setting("x", [{"partition": {"server": "other"}, "offset": {"lsn": 1}}]), "has one partition"),
        (setting("x", [*document(), *document()]), "has one partition"),
        (setting("x", [{"partition": {"server": NAME}, "offset": {"file": "binlog.1", "pos": 4}}]), "has a number lsn"),
        (setting("x", document(lsn="0/16B3748")), "lsn of the offset is no whole number"),
        (setting("x", document(lsn=True)), "lsn of the offset is no whole number"),
        (setting("x", document(ts_usec=1.5)), "ts_usec of the offset is no whole number"),
        (setting("x", document(lsn=2**63)), "lsn of the offset is no whole number"),
        (setting("x", document(snapshot={"a": 1})), "snapshot of the offset is no text"),
    ],
)
async def test_what_the_plug_in_would_not_read_is_refused_and_nothing_stops(
    life: Life, written: str, said: str
) -> None:
    await life.look(3)
    ask(life, offsets=written)

    assert await life.look(3) == []
    assert life.status["operations"]["offsets"]["phase"] == "Refused"
    assert said in life.status["operations"]["offsets"]["message"]


@pytest.mark.case("clusters-25")
@pytest.mark.parametrize("asked", [reset("one"), setting("one", document())])
async def test_offsets_that_no_status_could_save_are_not_changed(life: Life, asked: str) -> None:
    """Nothing stops for it, and a restart is made all the same."""
    await life.look(3)
    large = [{"partition": {"server": NAME}, "offset": {"lsn": LSN, "x": "y" * 300_000}}]
    life.fake.connectors[NAME].offsets = large
    ask(life, offsets=asked)
    written = await life.look(4)

    assert written == []
    assert offsets(life) == large
    assert life.status["operations"]["offsets"]["phase"] == "Refused"
    assert "they take 293 KiB, and a status can save 256 KiB" in life.status["operations"]["offsets"]["message"]
    assert len(json.dumps(life.status)) < 50_000
    ask(life, restart="one")
    assert await life.look(4) == [STOP, RESUME]


async def test_offsets_that_grow_until_the_connector_stands_are_left(life: Life) -> None:
    await life.look(3)
    ask(life, offsets=reset("one"))
    await life.look(1)
    life.fake.connectors[NAME].offsets = [{"partition": {"server": NAME}, "offset": {"lsn": LSN, "x": "y" * 300_000}}]

    assert await life.look(3) == [RESUME]
    assert life.status["operations"]["offsets"]["phase"] == "Refused"


async def test_offsets_that_somebody_else_changes_meanwhile_are_left(life: Life) -> None:
    await life.look(3)
    ask(life, offsets=setting("one", document()))
    await life.look(1)
    await life.look(1, record_only=True)
    life.fake.connectors[NAME].offsets = document(lsn=7)

    assert await life.look(3) == [RESUME]
    assert life.status["operations"]["offsets"]["phase"] == "Refused"
    assert "Somebody else changed" in life.status["operations"]["offsets"]["message"]


async def test_a_connector_that_does_not_stop_goes_on_after_a_while(life: Life) -> None:
    await life.look(3)
    ask(life, offsets=reset("one"))
    await life.look(1)
    life.fake.connectors[NAME].tasks = [Task(state="RUNNING")]
    life.now += timedelta(minutes=6)

    assert await life.look(2) == [RESUME]
    assert "did not stop" in life.status["operations"]["offsets"]["message"]
    assert life.condition("Ready")["status"] == "True"


async def test_one_operation_waits_for_the_other(life: Life) -> None:
    await life.look(3)
    ask(life, restart="one", offsets=reset("one"))
    written = await life.look(8)

    assert written == [STOP, RESUME, STOP, RESET, RESUME]
    assert {one["phase"] for one in life.status["operations"].values()} == {"Done"}


@pytest.mark.parametrize("action", ["restart", "reset", "set"])
@pytest.mark.parametrize("ends", range(6))
async def test_an_operator_that_ends_between_record_and_act_neither_forgets_nor_repeats(
    life: Life, action: str, ends: int
) -> None:
    """The pass in which it ends records, and does nothing; the annotation is gone by then."""
    await life.look(3)
    asked: dict[str, Callable[[], dict[str, str]]] = {
        "restart": lambda: {"restart": "one"},
        "reset": lambda: {"offsets": reset("one")},
        "set": lambda: {"offsets": setting("one", document())},
    }
    ask(life, **asked[action]())
    begun = len(life.fake.written())
    await life.look(ends)
    await life.look(1, record_only=True)
    old = life.shelf.objects["Connector", "orders-db"]
    life.shelf.put(dataclasses.replace(old, asked={}))
    await life.look(6)

    change = {"restart": [], "reset": [RESET], "set": [SET]}[action]
    assert life.fake.written()[begun:] == [STOP, *change, RESUME]
    assert {one["phase"] for one in life.status["operations"].values()} == {"Done"}


async def test_a_restart_by_a_person_is_none_of_failed_tasks(life: Life) -> None:
    await life.look(3)
    ask(life, restart="one")

    assert RESTART not in await life.look(5)
    assert "restarts" not in life.status


NAMED = "DataException: The outbox row with id {} cannot become a record: key and payload have 9 bytes"


def skip(word: str, row: str) -> str:
    return json.dumps({"id": word, "row": row})


def skipped(life: Life) -> str | None:
    return life.fake.connectors[NAME].config.get("transforms.outbox.skipped.rows")


async def stuck(life: Life, row: str) -> None:
    """Let the connector fail by a row, and be seen to."""
    life.fake.fail(NAME, NAMED.format(row))
    await life.look(2)


@pytest.mark.case("databases-8")
async def test_a_row_that_stops_the_connector_is_passed_by(life: Life) -> None:
    """And the next one, while the first stays passed by."""
    await life.look(3)
    await stuck(life, "7")
    assert life.status["restarts"]["row"] == "7"
    assert "headrace connector skip orders-db -n shop" in life.condition("Running")["message"]

    ask(life, skip=skip("one", "7"))
    assert await life.look(6) == [STOP, PUT, RESUME]
    assert skipped(life) == "7"
    assert life.condition("Ready")["status"] == "True"
    assert "The outbox row with id 7 is passed by" in life.status["operations"]["skip"]["message"]

    await stuck(life, "8%2C9")
    ask(life, skip=skip("two", "8%2C9"))
    assert await life.look(6) == [STOP, PUT, RESUME]
    assert skipped(life) == "7,8%2C9"
    assert await life.look(3) == []


@pytest.mark.case("databases-8")
@pytest.mark.parametrize(
    ("asked", "said"),
    [(skip("one", "8"), "the row 7 stands in the way, not 8"), ("{", "headrace.dev/skip cannot be read")],
)
async def test_no_other_row_is_passed_by(life: Life, asked: str, said: str) -> None:
    await life.look(3)
    await stuck(life, "7")
    ask(life, skip=asked)

    assert await life.look(3) == []
    assert life.status["operations"]["skip"]["phase"] == "Refused"
    assert said in life.status["operations"]["skip"]["message"]


@pytest.mark.case("databases-8")
async def test_nothing_is_passed_by_where_nothing_stands_in_the_way(life: Life) -> None:
    """Nor once the row was mended, and something else failed."""
    await life.look(3)
    await stuck(life, "7")
    life.fake.fail(NAME, "java.lang.Error: no slot")
    await life.look(2)
    ask(life, skip=skip("one", "7"))
    await life.look(1)

    assert "no row of an outbox stands in the way" in life.status["operations"]["skip"]["message"]
    assert skipped(life) is None


@pytest.mark.case("databases-8")
async def test_a_refused_request_keeps_what_is_passed_by(life: Life) -> None:
    await life.look(3)
    await stuck(life, "7")
    ask(life, skip=skip("one", "7"))
    await life.look(6)
    ask(life, skip=skip("two", "9"))

    assert await life.look(3) == []
    assert life.status["operations"]["skip"]["phase"] == "Refused"
    assert skipped(life) == "7"
