"""The plans of the examples, as text: what a first pass would do to a cluster where everything they name exists.

``python -m tests.operator.plan.golden`` writes them to tests/golden/plans; the test beside it compares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from headrace_operator.observed.kafka import TopicSeen
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.plan import connectcluster, connector, consumer, needs
from headrace_operator.plan.actions import Plan
from tests.operator import worlds

ROOT = Path(__file__).parents[3]
EXAMPLES = tuple(sorted((ROOT / "operator/examples").glob("*.yaml")))
GOLDEN = ROOT / "tests/golden/plans"


def resources() -> dict[tuple[str, str], Resource]:
    """Return every resource of all examples: the later ones build on the first."""
    documents = [document for path in EXAMPLES for document in yaml.safe_load_all(path.read_text())]
    found = [
        worlds.resource(
            document["kind"],
            document["metadata"]["name"],
            document["spec"],
            labels=document["metadata"].get("labels", {}),
        )
        for document in documents
        if "spec" in document
    ]
    return {(one.kind, one.name): one for one in found}


def plans(path: Path) -> Iterator[tuple[Resource, Plan]]:
    """Plan each resource of one example, in its order; what it refers to exists, nothing is made yet."""
    known = resources()
    for document in yaml.safe_load_all(path.read_text()):
        one = known.get((document["kind"], document["metadata"]["name"]))
        planned = None if one is None else _plan(one, known)
        if one is not None and planned is not None:
            yield one, planned


def text(path: Path) -> str:
    """Return the plans of one example as YAML: the actions, then the conditions of each resource."""
    return yaml.safe_dump_all(
        [
            {
                "of": f"{one.kind}/{one.name}",
                "actions": [_action(action) for action in plan.actions],
                "conditions": [f"{c['type']}={c['status']} {c['reason']}" for c in plan.status["conditions"]],
            }
            for one, plan in plans(path)
        ],
        sort_keys=False,
        width=120,
    )


def _plan(one: Resource, known: dict[tuple[str, str], Resource]) -> Plan | None:
    match one.kind:
        case "ConnectCluster":
            connectors = tuple(found for found in known.values() if found.kind == "Connector")
            world = worlds.connect_world(resource=one, connectors=connectors)
            return connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)
        case "Connector":
            keys = frozenset({"username", "password"})
            secrets = {
                name: SecretSeen(name=name, keys=keys, resource_version="1")
                for name in needs.connector_secrets(one.spec)
            }
            return connector.plan(worlds.connector_world(resource=one, secrets=secrets), worlds.SETTINGS, worlds.NOW)
        case "Consumer":
            source = known["Connector", one.spec["from"]["connector"]]
            topics = {name: TopicSeen(name=name, partitions=12) for name in consumer.sources(one, source)}
            seen = worlds.consumer_world(resource=one, connector=source, topics=topics)
            return consumer.plan(seen, worlds.SETTINGS, worlds.NOW)
        case _:
            return None


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
