"""A target that is away, seen from end to end: a real consumer process tells it with its commits, the operator says it.

The process runs by the ConfigMap that the operator made, over a real Kafka; the conditions are in a real API server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headrace import config as contract
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator import loops
from tests.operator.consumption import consumer
from tests.operator.operator_process import contract as told
from tests.operator.operator_process import kubectl, read
from tests.ports import free_port
from tests.runtime.consumer_process import World, consuming
from tests.runtime.http_target import serving

pytestmark = [pytest.mark.slow, pytest.mark.apiserver]

RECORDS = 40


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A Consumer in a namespace of its own, the operator's loop, and the port of its target."""

    server: ApiServer
    broker: KafkaBroker
    loop: Loop
    place: str
    port: int

    async def until(self, status: str, reason: str) -> dict[str, Any]:
        """Make passes until the condition has this status and reason, and return it.

        The first to ask about a group may be told that its coordinator is not there yet.
        """

        def is_so() -> bool:
            return (self.said().get("status"), self.said().get("reason")) == (status, reason)

        await loops.until(reason, is_so, self.loop, Key("Consumer", self.place, "billing"))
        return self.said()

    def said(self) -> dict[str, Any]:
        """Return what is said of the target."""
        conditions = read(self.server, "hrc", "billing", self.place)["status"].get("conditions", ())
        return next((one for one in conditions if one["type"] == "TargetHealthy"), {})

    def shown(self) -> str:
        """Return the column of the target."""
        head, line = kubectl(self.server, "get", "hrc", "-n", self.place, "-o", "wide").splitlines()
        at = head.index("TARGET")
        return line[at:].split()[0]

    def events(self) -> dict[str, str]:
        """Return type and text of the Events about the target, by their reason."""
        found = self.server.client.list("events", self.place)
        return {one["reason"]: f"{one['type']} {one['message']}" for one in found if one["reason"].startswith("Target")}


@pytest.fixture
async def shop(server: ApiServer, kafka_broker: KafkaBroker) -> AsyncIterator[Shop]:
    place, port = f"away-{uuid4().hex[:8]}", free_port()
    source = kafka_broker.create_topic(f"{place}.orders", 3)
    async with consumer(server, kafka_broker, place, source, f"http://127.0.0.1:{port}/") as loop:
        yield Shop(server=server, broker=kafka_broker, loop=loop, place=place, port=port)


async def test_a_target_that_is_away_is_said_and_that_it_is_back(shop: Shop, tmp_path: Path) -> None:
    await shop.until("Unknown", "TargetUnknown")
    made = told(shop.server, "billing-consumer", shop.place)["data"]["config.json"]
    world = World(broker=shop.broker, config=contract.load(made), folder=tmp_path)
    with consuming(world) as running:
        await shop.until("True", "TargetAnswers")

        world.produce([(f"k{number}", number) for number in range(RECORDS)])
        away = await shop.until("False", "TargetFails")
        assert "fails for 1 of 1 pods" in away["message"]
        assert f"{running.pod} (builtins.ConnectionRefusedError)" in away["message"]
        assert _since(away["message"]) <= datetime.fromisoformat(away["lastTransitionTime"])
        assert shop.shown() == "False"
        assert shop.events()["TargetFails"].startswith("Warning TargetHealthy=False: What the handler calls fails")

        with serving(shop.port, set()) as target:
            await shop.until("True", "TargetAnswers")
            assert shop.shown() == "True"
            assert shop.events()["TargetAnswers"].startswith("Normal TargetHealthy=True")
            assert target.taken


def _since(message: str) -> datetime:
    return datetime.fromisoformat(message.partition("since ")[2].partition(" ")[0])
