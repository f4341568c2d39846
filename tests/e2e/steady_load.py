"""A load on the local cluster that does not change, and a Consumer of it whose replicas handle a known number a second.

It needs an operator that watches the namespace shop and the KafkaConnection kafka there, as the demo leaves them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster.images import store
from tests.e2e import world

NAMESPACE, TOPIC, PARTITIONS = "shop", "steady.orders", 12

PRODUCE = """
import sys, time
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
topic, partitions, rate, seconds = sys.argv[1], *map(int, sys.argv[2:])
where = {"bootstrap.servers": "kafka.kafka.svc:9092"}
admin = AdminClient(where)
print(admin.create_topics([NewTopic(topic, num_partitions=partitions)])[topic].exception(60), flush=True)
producer = Producer({**where, "linger.ms": "50"})
while producer.list_topics(topic, 60).topics[topic].error:
    time.sleep(1)
begin, number = time.monotonic(), 0
while number < rate * seconds:
    while number < rate * min(seconds, time.monotonic() - begin):
        producer.produce(topic, b"{}", key=str(number % 5000).encode())
        number += 1
    producer.poll(0.05)
print(number, producer.flush(60), flush=True)
"""

HANDLE = """
import asyncio

async def handle(record):
    await asyncio.sleep({seconds})
"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One look: the second, replicas that are wanted and ready, records that wait, and what was decided."""

    at: float
    desired: int
    ready: int
    lag: int
    message: str


@contextmanager
def steady_load(name: str, *, rate: int, seconds: int, cost: float, most: int) -> Iterator[None]:
    """Produce ``rate`` records a second for so many ``seconds``, each of which takes one of eight hands ``cost``."""
    objects = [_producer(name, rate, seconds), _code(name, cost), _consumer(name, most)]
    world.apply(NAMESPACE, *objects)
    try:
        yield
    finally:
        for one in objects:
            kind = one["kind"].lower() + ("s.headrace.dev" if one["kind"] == "Consumer" else "")
            world.kubectl("-n", NAMESPACE, "delete", kind, one["metadata"]["name"], "--ignore-not-found", check=False)


def trace(name: str, seconds: float, every: float = 10.0) -> list[Seen]:
    """Look at the Consumer ``every`` so many seconds, print what is seen, and return it."""
    begin, seen = time.monotonic(), list[Seen]()
    while (at := time.monotonic() - begin) < seconds:
        status = world.get(NAMESPACE, "consumers", name).get("status") or {}
        scaling, lag = status.get("scaling") or {}, status.get("lag") or {}
        seen.append(
            Seen(
                at=at,
                desired=scaling.get("desired", 0),
                ready=status.get("readyReplicas") or 0,
                lag=lag.get("records") or 0,
                message=f"{scaling.get('reason')}: {scaling.get('message')}",
            )
        )
        last = seen[-1]
        print(f"{last.at:4.0f} s  {last.ready}/{last.desired}  lag {last.lag:6d}  {last.message}", flush=True)
        time.sleep(every)
    return seen


def _producer(name: str, rate: int, seconds: int) -> dict[str, Any]:
    words = ["python3", "-c", PRODUCE, f"{TOPIC}.{name}", str(PARTITIONS), str(rate), str(seconds)]
    nobody = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "producer",
        "image": store.references()["runtime"],
        "command": words,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": nobody,
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-producer"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def _code(name: str, cost: float) -> dict[str, Any]:
    source = HANDLE.format(seconds=json.dumps(cost))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"steady.py": source}}


def _consumer(name: str, most: int) -> dict[str, Any]:
    spec = {
        "from": {"kafka": "kafka", "topics": [f"{TOPIC}.{name}"]},
        "handler": {"python": {"function": "steady:handle", "source": {"configMap": name}}},
        "scale": {"min": 1, "max": most, "targetLagSeconds": 60},
    }
    return world.resource("Consumer", name, spec)
