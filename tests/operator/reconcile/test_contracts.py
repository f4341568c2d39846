"""Contracts on a real API server: a pod that starts anew in the middle of a rollout reads what it was made for.

No controller runs: a test makes the ReplicaSets of a Deployment itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from headrace_operator.api.schema import REQUESTED
from headrace_operator.clients import errors
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import children
from headrace_operator.plan.actions import Apply, Remove
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.execute import execute
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.planned import planned
from headrace_operator.reconcile.turns import Key
from tests.cluster.client import Refused
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator import loops, worlds
from tests.operator.consumption import consumer
from tests.operator.operator_process import contract, read

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.case("clusters-10")]

CONNECT = """
apiVersion: headrace.dev/v1alpha1
kind: ConnectCluster
metadata: {name: main}
spec: {kafka: kafka, workers: {}}
"""
WORKLOADS = {"Consumer": "billing-consumer", "ConnectCluster": "main-connect"}
EDITS: dict[str, list[dict[str, Any]]] = {
    "Consumer": [{"handler": {"http": {"url": f"http://billing/{number}"}}} for number in range(3)],
    "ConnectCluster": [{"workers": {"config": {"offset.flush.interval.ms": f"{number}000"}}} for number in (6, 7, 8)],
}


@dataclass
class Rollout:
    """A resource that has pods, the loop beside it, and the edits that were made of it."""

    server: ApiServer
    loop: Loop
    place: str
    kind: str
    asked: int = 0

    @property
    def workload(self) -> str:
        return WORKLOADS[self.kind]

    @property
    def key(self) -> Key:
        return Key(self.kind, self.place, self.workload.rpartition("-")[0])

    def edit(self, number: int) -> None:
        self._patch({"spec": EDITS[self.kind][number]})

    async def look(self) -> None:
        """Make a pass that looks at everything, and a second one for what the first one has done."""
        for _ in range(2):
            self.asked += 1
            self._patch({"metadata": {"annotations": {REQUESTED: str(self.asked)}}})
            await loops.until(f"an answer to request {self.asked}", self._is_answered, self.loop, self.key)

    def _is_answered(self) -> bool:
        """Tell whether a pass was made for the last request, and all its actions went well."""
        status = read(self.server, f"{self.kind}.headrace.dev", self.key.name, self.place).get("status") or {}
        return status.get("lastHandledRequest") == str(self.asked) and self.key not in self.loop.tries

    async def rolled(self, number: int) -> str:
        """Make an edit and a pass, then the ReplicaSet of it; return its contract."""
        self.edit(number)
        await self.look()
        made = contract(self.server, self.workload, self.place)
        deployment = read(self.server, "deployment", self.workload, self.place)
        self.replica_set(f"rs{number}", deployment["spec"]["template"])
        return str(made["metadata"]["name"])

    def replica_set(self, name: str, template: dict[str, Any]) -> None:
        """Make what the controller of Deployments makes, of no pods."""
        template = {**template, "metadata": {name: template["metadata"][name] for name in ("labels", "annotations")}}
        labels = template["metadata"]["labels"]
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        made = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
        }
        self.server.client.create(made, self.place)

    def gone(self, replica_set: str) -> None:
        self.server.client.delete("replicaset", replica_set, self.place)

    def contracts(self) -> dict[str, dict[str, Any]]:
        """Return all that there are, by name."""
        label = f"headrace.dev/{self.workload.rpartition('-')[2]}={self.key.name}"
        found = self.server.client.list("configmap", self.place, labels=label)
        return {one["metadata"]["name"]: one for one in found}

    async def planned(self) -> Any:
        resource = await self.loop.remote.kube.resource(self.kind, self.place, self.key.name)
        assert isinstance(resource, Resource)
        plan, _ = await planned(resource, self.loop.remote, worlds.SETTINGS, History(), worlds.NOW)
        return plan.actions

    def _patch(self, change: dict[str, Any]) -> None:
        self.server.client.patch(self.kind, self.key.name, change, self.place)


@pytest.fixture(params=["Consumer", pytest.param("ConnectCluster", marks=pytest.mark.sweep)])
async def rollout(
    request: pytest.FixtureRequest, server: ApiServer, kafka_broker: KafkaBroker
) -> AsyncIterator[Rollout]:
    """Give a resource that was made, on a Kafka that answers, of which nothing runs yet."""
    place = f"contract-{uuid4().hex[:8]}"
    source = kafka_broker.create_topic(f"{place}.orders", 2)
    async with consumer(server, kafka_broker, place, source, "http://billing/") as loop:
        server.client.apply(CONNECT, place)
        yield Rollout(server=server, loop=loop, place=place, kind=request.param)


async def test_an_old_contract_stays_as_it_is_until_no_replica_set_refers_to_it(rollout: Rollout) -> None:
    first = await rollout.rolled(0)
    held = rollout.contracts()[first]
    second = await rollout.rolled(1)

    assert rollout.contracts().keys() == {first, second}
    assert rollout.contracts()[first] == held
    rollout.gone("rs0")
    await rollout.look()
    assert rollout.contracts().keys() == {second}
    rollout.gone("rs1")
    await rollout.look()
    assert rollout.contracts().keys() == {second}


async def test_nobody_writes_over_a_contract_and_one_that_is_deleted_comes_back(rollout: Rollout) -> None:
    name = await rollout.rolled(0)
    held = rollout.contracts()[name]
    client = rollout.server.client

    with pytest.raises(Refused, match="immutable"):
        client.patch("configmap", name, {"data": {"config.json": "{}"}}, rollout.place)
    client.delete("configmap", name, rollout.place)
    await rollout.look()

    again = rollout.contracts()[name]
    assert (again["data"], again["immutable"]) == (held["data"], True)


async def test_the_contract_of_the_last_release_is_neither_changed_nor_taken_from_its_pods(rollout: Rollout) -> None:
    """An upgrade in the middle of a rollout: the old ReplicaSet may still make pods."""
    current = await rollout.rolled(0)
    resource = await rollout.loop.remote.kube.resource(rollout.kind, rollout.place, rollout.key.name)
    assert isinstance(resource, Resource)
    before = children.child(resource, "v1", "ConfigMap", rollout.workload, {"data": {"config.json": "of before"}})
    rollout.server.client.create(before)
    template = read(rollout.server, "deployment", rollout.workload, rollout.place)["spec"]["template"]
    (volume,) = [one for one in template["spec"]["volumes"] if one["name"] == "config"]
    volume["configMap"]["name"] = rollout.workload
    rollout.replica_set("before", template)
    held = rollout.contracts()[rollout.workload]
    last = await rollout.rolled(1)

    assert rollout.contracts().keys() == {current, last, rollout.workload}
    assert rollout.contracts()[rollout.workload] == held
    rollout.gone("before")
    await rollout.look()
    assert rollout.contracts().keys() == {current, last}


async def test_wherever_a_pass_ends_the_next_ones_leave_what_is_used_and_nothing_else(rollout: Rollout) -> None:
    """After each action of an edit's plan another edit comes."""
    old = await rollout.rolled(0)
    rollout.edit(1)
    rollout.gone("rs0")
    count = len(await rollout.planned())
    for done in range(count + 1):
        rollout.edit(1)
        for action in (await rollout.planned())[:done]:
            await execute(action, rollout.loop.remote)
        rollout.edit(2)
        await rollout.look()
        name = contract(rollout.server, rollout.workload, rollout.place)["metadata"]["name"]
        assert rollout.contracts().keys() == {name}, done

    assert count >= 2
    assert name != old


async def test_what_was_made_anew_meanwhile_is_not_taken_away(rollout: Rollout) -> None:
    """Of a contract that is removed it is this very object that goes; one that is gone already is well."""
    first = await rollout.rolled(0)
    await rollout.rolled(1)
    rollout.gone("rs0")
    (removal,) = [one for one in await rollout.planned() if isinstance(one, Remove)]
    rollout.server.client.delete("configmap", first, rollout.place)
    await execute(removal, rollout.loop.remote)
    rollout.server.client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": first}}, rollout.place)

    with pytest.raises(errors.Conflict, match="does not match the UID"):
        await execute(removal, rollout.loop.remote)

    assert removal.name == first
    assert not [one for one in await rollout.planned() if isinstance(one, Apply)]
    assert read(rollout.server, "configmap", first, rollout.place)["metadata"]["name"] == first
