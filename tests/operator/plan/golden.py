"""The plans of the examples, as text: what a first pass would do to a cluster where everything they name exists.

``python -m tests.operator.plan.golden`` writes them to tests/golden/plans; the test beside it compares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from headrace_operator.api.schema import API_VERSION
from headrace_operator.observed.kafka import ClusterSeen, TopicSeen
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.observed.world import KafkaConnectionWorld
from headrace_operator.plan import connectcluster, connector, consumer, kafkaconnection, needs
from headrace_operator.plan.actions import Plan
from tests.operator import worlds

ROOT = Path(__file__).parents[3]
EXAMPLES = tuple(sorted((ROOT / "operator/examples").glob("*.yaml")))
GOLDEN = ROOT / "tests/golden/plans"


def resources() -> dict[tuple[str, str], Resource]:
    """Return every resource of all examples: the later ones build on the first."""
    found = [resource for path in EXAMPLES for resource in _resources(path)]
    return {(one.kind, one.name): one for one in found}


def _resources(path: Path) -> Iterator[Resource]:
    """Read the documents of one example that are Headrace's; the others are there for those to refer to."""
    for document in yaml.safe_load_all(path.read_text()):
        if document["apiVersion"] == API_VERSION:
            named = document["metadata"]
            yield worlds.resource(document["kind"], named["name"], document["spec"], labels=named.get("labels", {}))


def text(path: Path) -> str:
    """Return the plans of one example as YAML, in its order: the actions, then the conditions of each resource.

    What a resource refers to exists, and nothing is made yet.
    """
    known = resources()
    planned = [(one, _plan(one, known)) for one in _resources(path)]
    return yaml.safe_dump_all(
        [
            {
                "of": f"{one.kind}/{one.name}",
                "actions": [_action(action) for action in plan.actions],
                "conditions": [f"{c['type']}={c['status']} {c['reason']}" for c in plan.status["conditions"]],
            }
            for one, plan in planned
        ],
        sort_keys=False,
        width=120,
    )


def _plan(one: Resource, known: dict[tuple[str, str], Resource]) -> Plan:
    match one.kind:
        case "KafkaConnection":
            cluster = ClusterSeen(cluster_id="k", brokers=1, features=())
            secrets = {name: _secret(name) for name in needs.kafka_secrets(one.spec)}
            kafka = KafkaConnectionWorld(resource=one, secrets=secrets, cluster=cluster)
            return kafkaconnection.plan(kafka, worlds.SETTINGS, worlds.NOW)
        case "ConnectCluster":
            connectors = tuple(found for found in known.values() if found.kind == "Connector")
            world = worlds.connect_world(resource=one, connectors=connectors)
            return connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)
        case "Connector":
            secrets = {name: _secret(name) for name in needs.connector_secrets(one.spec)}
            return connector.plan(worlds.connector_world(resource=one, secrets=secrets), worlds.SETTINGS, worlds.NOW)
        case "Consumer":
            source = known["Connector", one.spec["from"]["connector"]]
            topics = {name: TopicSeen(name=name, partitions=12) for name in consumer.sources(one, source)}
            seen = worlds.consumer_world(resource=one, connector=source, topics=topics)
            return consumer.plan(seen, worlds.SETTINGS, worlds.NOW)
        case kind:
            raise NotImplementedError(f"no plan of a {kind} is golden yet: add it here")


def _secret(name: str) -> SecretSeen:
    return SecretSeen(name=name, keys=frozenset({"username", "password"}), resource_version="1")


def _action(action: Any) -> dict[str, Any]:
    return {type(action).__name__: _plain(dataclasses.asdict(action))}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for example in EXAMPLES:
        (GOLDEN / example.name).write_text(text(example))
