"""An action ends within the time that the Lease was asked for, whatever hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace_operator.clients.connect_entrances import Entrances
from headrace_operator.clients.errors import Unreachable
from headrace_operator.plan.actions import Action, Apply, CreateTopic
from headrace_operator.reconcile.execute import DEADLINE, WRITE, execute
from headrace_operator.reconcile.remote import Remote
from tests.operator import worlds

pytestmark = pytest.mark.looptime


class Hanging:
    """A client that answers what it was given, and else never."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        async def call(*_: Any) -> Any:
            if name not in self._answers:
                await asyncio.sleep(10_000)
            return self._answers[name]

        return call


TOPIC = CreateTopic(namespace="shop", kafka="kafka", topic="orders", partitions=1)


@pytest.mark.parametrize(
    ("action", "kube", "kafkas", "seconds"),
    [
        (Apply(manifest={"kind": "ConfigMap", "metadata": {"name": "a"}}), Hanging(), Hanging(), DEADLINE),
        (TOPIC, Hanging(), Hanging(), DEADLINE - WRITE),
        (TOPIC, Hanging(resource=worlds.KAFKA), Hanging(), DEADLINE - WRITE),
        (TOPIC, Hanging(resource=worlds.KAFKA), Hanging(open=Hanging()), DEADLINE),
    ],
)
async def test_what_hangs_is_given_up_in_time(action: Action, kube: Any, kafkas: Any, seconds: float) -> None:
    """A topic is not begun when its making, which cannot be interrupted, might outlast the deadline."""
    clock = asyncio.get_running_loop()
    begun = clock.time()

    remote = Remote(
        kube=kube, near=kube, connect=kube, kafkas=kafkas, entrances=Entrances(kube), agents=kube, relays=kube
    )

    with pytest.raises(Unreachable, match="no answer within"):
        await execute(action, remote)

    assert clock.time() - begun == pytest.approx(seconds, abs=0.1)
