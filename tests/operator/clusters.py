"""Kubernetes clusters that have namespaces and resources of the same names: an API server and a loop each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from headrace_operator.api.schema import API_VERSION
from headrace_operator.reconcile.execute import BEGIN
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator.loops import looping
from tests.operator.operator_process import read
from tests.waiting import look_until


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One of them, its namespace, and the resources there that its operator looks at, in this order."""

    server: ApiServer
    loop: Loop
    place: str
    keys: tuple[tuple[str, str], ...]

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects, of our kinds where they do not say otherwise, in the namespace."""
        whole = [{"apiVersion": API_VERSION, **one} for one in objects]
        self.server.client.apply(whole, self.place)

    def annotate(self, kind: str, name: str, annotations: Mapping[str, str | None]) -> None:
        """Annotate an object of the namespace; None takes an annotation away."""
        self.server.client.patch(kind, name, {"metadata": {"annotations": annotations}}, self.place)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object of the namespace."""
        self.server.client.delete(kind, name, self.place)

    def read(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object of the namespace."""
        return read(self.server, kind, name, self.place)

    def home(self) -> str:
        """Return the UID of the namespace."""
        return str(self.server.client.get("namespace", self.place)["metadata"]["uid"])

    def condition(self, kind: str = "Ready") -> dict[str, Any]:
        """Return a condition of the last of its resources; one without a reason where there is none."""
        status = self.read(*self.keys[-1]).get("status") or {}
        return next((one for one in status.get("conditions") or () if one["type"] == kind), {"reason": ""})

    async def look(self, times: int = 1) -> None:
        """Look at everything, in order, while the Lease is held; it lapses where a test keeps the event loop busy."""
        for kind, name in self.keys * times:
            while not self.loop.lease.held(BEGIN):  # noqa: ASYNC110 - it does not tell when it is so
                await asyncio.sleep(0.02)
            await self.loop.reconcile(Key(kind, self.place, name))

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Look at everything until something holds."""
        try:
            await look_until(holds, self.look)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}: {self.condition()}") from None

    async def until_reason(self, reason: str) -> None:
        """Look at everything until the last resource's `Ready` has a reason."""
        await self.until(reason, lambda: self.condition()["reason"] == reason)


@asynccontextmanager
async def cluster(
    server: ApiServer, place: str, broker: KafkaBroker, *names: tuple[str, str], connect: int = 1, name: str = ""
) -> AsyncIterator[Cluster]:
    """Make the namespace ``place`` with a KafkaConnection to ``broker``, and give the cluster, called ``name``.

    Connect is asked at the port ``connect`` of loopback.
    """
    server.client.create_namespace(place)
    try:
        async with looping(server, connect=connect, cluster=name) as loop:
            made = Cluster(server=server, loop=loop, place=place, keys=(("KafkaConnection", "kafka"), *names))
            spec = {"bootstrapServers": broker.bootstrap_servers}
            made.apply({"kind": "KafkaConnection", "metadata": {"name": "kafka"}, "spec": spec})
            yield made
    finally:
        server.client.delete("namespace", place, wait=False)
