"""What is done about a failed task, by what a real Debezium wrote of its failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operator.reconcile.test_connector_life import NAME, RESTART, Life, life
from tests.operator.reconcile.test_operations import RESUME, STOP, ask

__all__ = ["life"]

pytestmark = pytest.mark.case("databases-1")

TRACES = Path(__file__).parents[1] / "plan/traces"


def trace(name: str) -> str:
    return (TRACES / f"{name}.txt").read_text()


async def failed(life: Life, name: str) -> None:
    """Let the task fail, again after each restart, for five minutes."""
    await life.look(3)
    for _ in range(60):
        life.fake.fail(NAME, trace(name))
        await life.look(every=5)


@pytest.mark.parametrize(("name", "least", "most"), [("connection", 5, 8), ("credentials", 9, 10), ("rights", 5, 8)])
async def test_what_may_pass_is_restarted(life: Life, name: str, least: int, most: int) -> None:
    await failed(life, name)

    assert least <= life.fake.written().count(RESTART) <= most
    assert life.condition("Ready")["reason"] == "TaskFailed"


@pytest.mark.parametrize(
    ("name", "way_back"),
    [
        ("slot_lost", "headrace connector offsets reset orders-db -n shop"),
        ("size", "Raise spec.topics.maxRecordBytes"),
        ("topic_config", "mend transforms in config"),
        ("converter", "mend key.converter or value.converter in config"),
        ("transform", "mend capture.outbox.columns"),
    ],
)
async def test_what_no_restart_mends_is_not_restarted_and_the_way_back_is_said(
    life: Life, name: str, way_back: str
) -> None:
    await failed(life, name)

    assert RESTART not in life.fake.written()
    assert life.condition("Ready")["reason"] == life.condition("Stalled")["reason"] == "RestartInVain"
    assert way_back in life.condition("Running")["message"]


async def test_a_login_that_fails_says_which_secret(life: Life) -> None:
    await failed(life, "credentials")
    message = life.condition("Ready")["message"]

    assert "refuses the login of Secret shop-db" in message
    assert "password authentication failed" in message
    assert life.status["restarts"]["cause"] == "Credentials"


async def test_a_person_may_restart_what_is_not_restarted(life: Life) -> None:
    await failed(life, "size")
    ask(life, restart="one")

    assert await life.look(4) == [STOP, RESUME]
    assert life.condition("Ready")["status"] == "True"
    assert "restarts" not in life.status


async def test_another_failure_is_restarted_as_what_it_is(life: Life) -> None:
    await failed(life, "size")
    life.fake.fail(NAME, trace("connection"))
    written = await life.look(10)

    assert RESTART in written
    assert life.condition("Ready")["reason"] == "Recovering"
