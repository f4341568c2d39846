"""A Connector whose operator begins anew, and remembers nothing, some time after it restarted a task."""

from __future__ import annotations

import pytest

from headrace_operator.reconcile.progress import Progress
from tests.operator.reconcile.test_connector_life import NAME, RESTART, TRACE, Life, life

__all__ = ["life"]


async def restarted(life: Life) -> None:
    """Look until the task, which has failed, is restarted."""
    life.fake.fail(NAME, TRACE)
    while RESTART not in await life.look(every=1):
        pass


@pytest.mark.case("clusters-crash")
@pytest.mark.parametrize("looks", [0, 1, 10, 40])
async def test_a_task_that_reads_since_it_was_restarted_is_left_alone(life: Life, looks: int) -> None:
    """Also where nothing is committed in the database from then on: heartbeats may be off."""
    await life.look(3)
    await restarted(life)
    await life.look(looks)
    life.progress = Progress()

    assert await life.look(200, every=3) == []
    assert life.condition("Ready")["status"] == "True"


@pytest.mark.case("clusters-crash")
@pytest.mark.parametrize("looks", [0, 10])
async def test_a_task_that_was_started_before_its_login_was_mended_is_restarted_once_more(
    life: Life, looks: int
) -> None:
    """It says that it runs, and never reads the Secret again: that it reads nothing is known by what was recorded."""
    await life.look(3)
    life.fake.passwords = {"shop": "of-tomorrow"}
    await restarted(life)
    life.fake.secrets["shop/shop-db:password"] = "of-tomorrow"
    await life.look(looks, every=1)
    life.progress = Progress()

    assert await life.look(100, every=3) == [RESTART]
    assert life.fake.connectors[NAME].reads
