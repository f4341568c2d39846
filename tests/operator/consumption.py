"""A Consumer of one topic in a namespace of its own, on a real API server and a real Kafka, and the loop beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator.loops import look, looping

WORLD = """
apiVersion: headrace.dev/v1alpha1
kind: KafkaConnection
metadata: {{name: kafka}}
spec: {{bootstrapServers: "{servers}"}}
---
apiVersion: headrace.dev/v1alpha1
kind: Consumer
metadata: {{name: billing}}
spec:
  from: {{kafka: kafka, topics: ["{source}"]}}
  handler: {{http: {{url: "{url}"}}}}
"""


@asynccontextmanager
async def consumer(server: ApiServer, broker: KafkaBroker, place: str, source: str, url: str) -> AsyncIterator[Loop]:
    """Make the namespace ``place`` with the Consumer billing, which no pass has looked at yet, and give the loop."""
    server.client.create_namespace(place)
    made = WORLD.format(servers=broker.bootstrap_servers, source=source, url=url)
    server.client.apply(made, place)
    async with looping(server) as loop:
        await look(loop, Key("KafkaConnection", place, "kafka"))
        yield loop
    server.client.delete("namespace", place, wait=False)
