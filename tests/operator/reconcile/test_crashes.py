"""Whichever write of a life the operator does not outlive, or never hears the end of: it goes on as it would have."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.cluster.fast import ApiServer
from tests.operator.lives import LIVES, Life, lived
from tests.operator.writes import NEVER, How, Writes

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

HOWS: tuple[How, ...] = get_args(How)


async def life(server: ApiServer, kind: str, how: How = "before", at: int = NEVER) -> Life:
    """Live the life of a kind, in which write number ``at`` goes wrong."""
    return await lived(kind, server, f"{kind.lower()}{'whole' if at == NEVER else at}{how}", Writes(at=at, how=how))


def asked(one: Life) -> list[str]:
    """Return what Kafka Connect was asked to change in a life."""
    return [request.replace(one.place, "PLACE") for request in one.fake.written()]


async def goes_on(server: ApiServer, kind: str, how: How, at: int, whole: Life) -> None:
    """Compare a life with the whole one: no connector is made, removed or restarted twice, or not at all."""
    made = await life(server, kind, how, at)

    assert made.writes.went_wrong
    for step, (seen, expected) in enumerate(zip(made.seen, whole.seen, strict=True)):
        assert seen == expected, f"{how} write {at}, step {step}"
    assert asked(made) == asked(whole), f"{how} write {at}"


@pytest.mark.parametrize("kind", ["Connector", "Consumer", "Snapshot"])
async def test_a_life_goes_on_after_a_write_that_went_wrong(server: ApiServer, kind: str) -> None:
    """The process ends before one, another after one, and another is not told that one was made."""
    whole = await life(server, kind)
    for number, how in enumerate(HOWS, 1):
        await goes_on(server, kind, how, whole.writes.count * number // 4, whole)


@pytest.mark.sweep
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", LIVES)
async def test_a_life_goes_on_after_any_write_that_went_wrong(server: ApiServer, kind: str, how: How) -> None:
    whole = await life(server, kind, how)
    assert whole.writes.count >= 4
    for at in range(whole.writes.count):
        await goes_on(server, kind, how, at, whole)
