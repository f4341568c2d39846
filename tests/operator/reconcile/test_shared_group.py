"""Two Kubernetes clusters with the same names have one Kafka: whose pods handle what; consumers and broker are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from headrace import config as contract
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator.clusters import Cluster, cluster
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Two clusters that have a Consumer ``billing`` of one topic."""

    east: Cluster
    west: Cluster
    world: World

    def config(self, of: Cluster) -> contract.Config:
        """Return what the pods of a cluster read, with a handler that notes what it does."""
        volumes = of.read("deployment", "billing-consumer")["spec"]["template"]["spec"]["volumes"]
        name = next(one["configMap"]["name"] for one in volumes if one["name"] == "config")
        made = contract.load(of.read("configmap", name)["data"]["config.json"])
        return made.model_copy(update={"handler": self.world.config.handler})

    def handled(self) -> list[str]:
        """Return the keys of the records that were handled, by whomever."""
        return sorted(str(effect["key"]) for effect in self.world.effects())


@pytest.fixture
async def shared(
    request: pytest.FixtureRequest, server: ApiServer, second: ApiServer, kafka_broker: KafkaBroker, tmp_path: Path
) -> AsyncIterator[Shared]:
    """Make the Consumer in both; the parameters are the clusters' names."""
    place, called = f"shared-{uuid4().hex[:8]}", getattr(request, "param", ("", ""))
    world = make_world(kafka_broker, tmp_path)
    spec = {
        "from": {"kafka": "kafka", "topics": [world.source]},
        "handler": {"http": {"url": "http://localhost:1/"}},
    }
    async with AsyncExitStack() as stack:
        east, west = [
            await stack.enter_async_context(cluster(one, place, kafka_broker, ("Consumer", "billing"), name=name))
            for one, name in zip((server, second), called, strict=True)
        ]
        for one in (east, west):
            one.apply({"kind": "Consumer", "metadata": {"name": "billing"}, "spec": spec})
        yield Shared(east=east, west=west, world=world)


def has_pods(one: Cluster) -> bool:
    """Tell whether a cluster was asked for pods."""
    return one.server.client.exists("deployment", "billing-consumer", one.place)


async def test_no_pods_join_the_group_of_another_cluster(shared: Shared) -> None:
    """They would take partitions from it. Once that cluster is gone, they go on where it was."""
    east, west, world = shared.east, shared.west, shared.world
    await east.until("pods", lambda: has_pods(east))
    world.produce([(f"{number:03}", {}) for number in range(20)])
    with consuming(world, shared.config(east)) as pod:
        await asyncio.to_thread(until, "all are handled", lambda: len(shared.handled()) == 20)
        assert pod.stop() == 0
    await west.until_reason("NameTaken")
    await west.look(3)
    told = west.condition()
    assert f"headrace.dev/take-over={east.home()}" in told["message"]
    assert not has_pods(west)
    await east.look()
    assert east.condition("Deployed")["reason"] != "NameTaken"

    west.annotate("consumer", "billing", {"headrace.dev/take-over": east.home()})
    await west.until("pods", lambda: has_pods(west))
    world.produce([(f"{number:03}", {}) for number in range(20, 40)])
    with consuming(world, shared.config(west)) as pod:
        await asyncio.to_thread(until, "the others are handled", lambda: len(shared.handled()) >= 40)
        assert pod.stop() == 0

    assert shared.handled() == [f"{number:03}" for number in range(40)], "each once, as the group went on"
    await east.until_reason("NameTaken")


@pytest.mark.parametrize(
    "shared", [("east", "west"), pytest.param(("", "west"), marks=pytest.mark.sweep)], indirect=True
)
async def test_clusters_with_names_of_their_own_have_each_its_group(shared: Shared) -> None:
    """Each handles all."""
    world = shared.world
    for one in (shared.east, shared.west):
        await one.until("pods", partial(has_pods, one))
    configs = [shared.config(one) for one in (shared.east, shared.west)]
    world.produce([(f"{number:03}", {}) for number in range(10)])
    with consuming(world, configs[0]), consuming(world, configs[1]):
        await asyncio.to_thread(until, "both have handled all", lambda: len(shared.handled()) == 20)
    for one in (shared.east, shared.west):
        await one.look(2)

    assert configs[1].group == f"headrace.west.{shared.west.place}.billing"
    assert {*configs[0].topics.model_dump().values()} & {*configs[1].topics.model_dump().values()} == {(world.source,)}
    assert "NameTaken" not in [one.condition("Deployed")["reason"] for one in (shared.east, shared.west)]
