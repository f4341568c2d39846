"""The fields of specs, as the schemas have them: specs with every one of them, their values, and what follows.

A path such as ``from.routes[]`` or ``config{}`` names a field: ``[]`` is an item of a list, ``{}`` a value of a map.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from jsonschema import Draft202012Validator

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import assumed, connectcluster, external
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.conditions import timestamp
from tests.operator import snapshot_worlds, worlds
from tests.operator.plan import statuses, templates

Json = dict[str, Any]
Path = templates.Path
Place = tuple[Json, Path]
"""A spec, and where in it something stands."""

LOGIN = {"secret": "login", "usernameKey": "user", "passwordKey": "pass"}
HTTP = {"url": "http://billing:8080/events", "timeout": "12s"}
POSTGRES = {"host": "shop-db", "port": 5433, "database": "shop", "slot": "shop_slot", "publication": "shop_rows"}
POSTGRES |= {"onSlotLost": "Resnapshot"}
COLUMNS = {"id": "a", "route": "b", "key": "c", "type": "d", "payload": "e", "traceparent": "f"}
DATABASE = {
    "host": "shop-db",
    "port": 5433,
    "database": "shop",
    "credentials": LOGIN,
    "tls": {
        "ca": {"secret": "authority", "key": "ca.crt"},
        "certificate": {"secret": "client", "certificateKey": "own.crt", "privateKeyKey": "own.key"},
    },
}
RETRY = {
    "attempts": 5,
    "backoff": {"initial": "2s", "factor": 3, "max": "5m"},
    "maxAge": "1h",
    "maxCrashAttempts": 4,
    "maxInMemory": "45s",
}
OAUTH = {"tokenEndpoint": "https://id:8443/token", "scope": "kafka", "ca": {"secret": "provider", "key": "ca.crt"}}
REDIS = {"url": "rediss://redis:6379/0", "credentials": LOGIN, "ca": {"secret": "authority", "key": "ca.crt"}}
ELSE: Json = {
    "resources": templates.RESOURCES,
    "volumes": templates.VOLUMES[:2],
    "mounts": templates.MOUNTS[:1],
    "initContainers": [{"name": "wait", "image": "shop/wait:1", "mounts": templates.MOUNTS[:1]}],
    "tolerations": [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}],
    "topologySpread": [{"topologyKey": "example.com/rack", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}],
}
"""A template whose parts stand alone, so that each may change without another."""

NO_COMPUTE = {name: part for name, part in templates.OF_WORKERS.items() if name != "resources"}
SPECS: dict[str, tuple[Json, ...]] = {
    "KafkaConnection": (
        {
            "bootstrapServers": "kafka-0:9092,kafka-1:9092",
            "tls": {
                "ca": {"secret": "authority", "key": "ca.crt"},
                "certificate": {"secret": "client", "certificateKey": "own.crt", "privateKeyKey": "own.key"},
            },
            "sasl": {"mechanism": "SCRAM-SHA-512", "credentials": LOGIN},
            "properties": {"client.rack": "a"},
        },
        {
            "bootstrapServers": "kafka:9092",
            "sasl": {"mechanism": "OAUTHBEARER", "credentials": LOGIN, "oauth": OAUTH},
        },
    ),
    "ConnectCluster": (
        {
            "kafka": "kafka",
            "workers": {
                "replicas": 3,
                "image": "shop/connect:1",
                "resources": {
                    "requests": {"cpu": "500m", "memory": "900Mi"},
                    "limits": {"cpu": "2", "memory": "3072Mi"},
                },
                "config": {"offset.flush.timeout.ms": "9000"},
                "exactlyOnce": True,
                "logLevels": {"io.debezium": "DEBUG", "org.apache.kafka.clients": "ERROR"},
                "template": NO_COMPUTE,
            },
            "rest": {"tls": {"secret": "certificate"}, "auth": {"credentials": LOGIN}},
            "agent": {"enabled": True, "template": templates.FULL},
        },
        {"kafka": "kafka", "workers": {"template": ELSE}, "agent": {"enabled": True, "template": ELSE}},
        {
            "kafka": "kafka",
            "external": {
                "url": "https://connect.example:8443/rest",
                "tls": {
                    "ca": {"secret": "authority", "key": "ca.crt"},
                    "certificate": {"secret": "client", "certificateKey": "own.crt", "privateKeyKey": "own.key"},
                },
                "auth": {"credentials": LOGIN},
                "secretReference": "${directory:/opt/secrets1/{name}:{key}}",
            },
            "connectorDefaults": {"postgres": {"max.batch.size": "700"}},
        },
    ),
    "Connector": (
        {
            "connect": "main",
            "postgres": {**POSTGRES, "credentials": LOGIN},
            "capture": {"outbox": {"table": "public.outbox", "columns": COLUMNS}},
            "topics": {"prefix": "shop", "partitions": 6, "replicationFactor": 2, "maxRecordBytes": 5000000},
            "config": {"poll.interval.ms": "100"},
            "restart": {"maxAttempts": 3},
            "onDelete": {"offsets": "Keep"},
        },
        {
            "connect": "main",
            "postgres": {"host": "shop-db", "database": "shop", "credentials": {"secret": "login"}},
            "capture": {"tables": ["public.orders", "public.lines"]},
            "state": "Paused",
            "onDelete": {"slot": "Delete"},
        },
    ),
    "Consumer": (
        {
            "from": {"connector": "orders-db", "routes": ["order", "refund"]},
            "handler": {"http": HTTP},
            "delivery": {
                "order": "Partition",
                "rate": {"perSecond": 50},
                "concurrency": 3,
                "retry": RETRY,
                "onOffsetLost": "Earliest",
                "onDeadLetter": {"action": "Stop", "compensate": {"topic": "undo.orders"}},
                "deduplication": {"window": "2d", "memory": {"messages": 5000}},
                "messageIdHeader": "x-id",
            },
            "scale": {"min": 2, "max": 9, "targetLagSeconds": 30},
            "template": templates.OF_CONSUMER,
        },
        {
            "from": {"connector": "orders-db", "tables": ["public.orders", "public.lines"]},
            "handler": {
                "python": {"function": "a:handle", "image": "shop/a:1", "timeout": "20s", "isolation": "Process"}
            },
            "delivery": {"onDeadLetter": {"compensate": {"http": HTTP}}, "deduplication": {"redis": REDIS}},
            "state": "Paused",
        },
        {
            "from": {"kafka": "kafka", "topics": ["shop.orders", "shop.lines"]},
            "handler": {"python": {"function": "handler:handle", "source": {"configMap": "code"}}},
            "template": ELSE,
        },
    ),
    "OutboxRelay": (
        {
            "kafka": "kafka",
            "postgres": DATABASE,
            "table": "shop.outbox",
            "columns": {
                **{"id": "a", "messageId": "b", "messageType": "c", "payload": "d", "status": "e", "failCount": "f"},
                **{"occurredAt": "g", "processedAt": "h", "key": "i", "topic": "j", "traceparent": "k"},
                "lastError": "l",
            },
            "topicPrefix": "shop.",
            "batch": 100,
            "interval": "5s",
            "retry": {"attempts": 5, "backoff": {"initial": "2s", "max": "9m"}},
            "retention": "2d",
            "replicas": 3,
            "template": templates.FULL,
        },
        {"kafka": "kafka", "mysql": DATABASE, "table": "outbox", "template": ELSE},
        {"kafka": "kafka", "mariadb": DATABASE, "table": "outbox"},
    ),
    "Snapshot": snapshot_worlds.SPECS,
}
"""Of each kind specs that have every field between them, none with its default."""

OTHERS: dict[tuple[str, ...], Any] = {
    ("mounts", "name"): "rules",
    ("fieldRef", "fieldPath"): "metadata.uid",
    ("scale", "targetLagSeconds"): 3600,
}
"""Other values of fields of which a changed text or the next number would be none, or change nothing."""


@functools.cache
def schema(kind: str) -> Json:
    """Return the schema of a kind's spec."""
    found: Json = crd.schema(next(one for one in KINDS if one.name == kind))["properties"]["spec"]
    return found


def fields(kind: str) -> dict[str, Json]:
    """Return the schema of each field of a kind's spec."""
    return dict(_fields(schema(kind), ""))


def _fields(node: Json, at: str) -> Iterator[tuple[str, Json]]:
    for name, child in (node.get("properties") or {}).items():
        path = f"{at}.{name}".removeprefix(".")
        yield path, child
        yield from _fields(child, path)
    for part, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(child := node.get(part), dict):
            yield f"{at}{mark}", child
            yield from _fields(child, f"{at}{mark}")


def places(kind: str) -> dict[str, list[Place]]:
    """Return for each field where it stands in `SPECS`."""
    found: dict[str, list[Place]] = defaultdict(list)
    for spec in SPECS[kind]:
        for path in templates.paths(spec):
            found[named(schema(kind), path)].append((spec, path))
    return found


def named(node: Json, path: Path) -> str:
    """Return the field that stands at a path of a spec with this schema."""
    text = ""
    for key in path:
        if "items" in node:
            node, text = node["items"], f"{text}[]"
        elif "properties" in node:
            node, text = node["properties"][key], f"{text}.{key}"
        else:
            node, text = node["additionalProperties"], f"{text}{{}}"
    return text.removeprefix(".")


def value(spec: Json, path: Path) -> Any:
    """Return what stands at a path."""
    found: Any = spec
    for key in path:
        found = found[key]
    return found


def unset(_: Json, place: Place) -> Iterator[Json]:
    """Yield the spec without what stands there."""
    yield templates.without(*place)


def altered(node: Json, place: Place) -> Iterator[Json]:
    """Yield the spec with other values there, which the schema `node` of the field allows."""
    spec, path = place
    before, allowed = value(spec, path), Draft202012Validator(node)
    for other in _others(node, path, before):
        if other != before and allowed.is_valid(other):
            yield templates.changed(spec, path, other)


def _others(node: Json, path: Path, before: Any) -> Iterator[Any]:
    if (known := tuple(key for key in path if isinstance(key, str))[-2:]) in OTHERS:
        yield OTHERS[known]
    match before:
        case bool():
            yield not before
        case int():
            yield from (before + 1, before - 1)
        case str() if "enum" in node:
            yield from node["enum"]
        case str():
            yield f"{before}x"
            yield re.sub(r"\d+", lambda found: str(int(found[0]) + 1), before, count=1)


def edges(node: Json, before: Any) -> Iterator[Any]:
    """Yield values at the bounds of a field that has the value `before`, and beyond them."""
    match before:
        case str() if "enum" in node:
            yield from (*node["enum"], "", "Nonsense")
        case str():
            yield from ("", "ü", f"{before} ", *(_stretched(before, node["maxLength"] + by) for by in (0, 1)))
        case bool():
            yield from (True, False)
        case int():
            known = (node[bound] for bound in ("minimum", "maximum") if bound in node)
            yield from (*(one + by for one in known for by in (-1, 0, 1)), 0, -1, 2**31, 2**63)
        case list():
            yield from ([], [before[0]] * 2, [before[0]] * (node["maxItems"] + 1))
        case dict() if "maxProperties" in node:
            yield from ({}, *({f"k{n}": "v" for n in range(node["maxProperties"] + by)} for by in (0, 1)))


def is_bound_by_the_schema_alone(node: Json, edge: Any) -> bool:
    """Whether a value is beyond what definitions bound for the sake of the API server, and models leave open."""
    most: dict[type[Any], tuple[str, int]] = {str: ("maxLength", crd.LONGEST_TEXT), list: ("maxItems", crd.MOST_ITEMS)}
    bound, known = most.get(type(edge), ("maxProperties", crd.MOST_PROPERTIES))
    return bool(node.get(bound) == known and not isinstance(edge, int) and len(edge) > known)


def _stretched(text: str, length: int) -> str:
    """Return a text of that length that begins as `text` does."""
    return text[:length] + "a" * (length - len(text))


def resource(kind: str, spec: Mapping[str, Any]) -> Resource:
    """Return the resource of a kind that others refer to, with this spec."""
    return worlds.resource(kind, NAMES[kind], spec)


NAMES = {
    "KafkaConnection": "kafka",
    "ConnectCluster": "main",
    "Connector": "orders-db",
    "Consumer": "billing",
    "OutboxRelay": "parcels",
    "Snapshot": "earlier",
}
THERE = (worlds.KAFKA, worlds.CONNECT, worlds.CONNECTOR, worlds.CONSUMER, *snapshot_worlds.OF_ROWS)
GIVEN = {(one.kind, one.name): one for one in THERE}


def follows(kind: str, spec: Json) -> str | None:
    """Return as text every action that follows from a spec; None when it is refused."""
    return _follows(kind, json.dumps(spec))


@functools.cache
def _follows(kind: str, text: str) -> str | None:
    plans = _plans(kind, json.loads(text))
    return None if refusal(plans[0]) else repr([*(one.actions for one in plans), _entered(kind, json.loads(text))])


def _entered(kind: str, spec: Json) -> object:
    """Return how a Kafka Connect that others run is entered."""
    return external.in_force(connectcluster.in_force(resource(kind, spec))) if kind == "ConnectCluster" else None


def refusal(plan: Plan) -> str | None:
    """Return why a spec is not accepted."""
    accepted = worlds.condition(plan, "Accepted")
    return None if accepted["status"] == "True" else str(accepted["message"])


def first(kind: str, spec: Json) -> Plan:
    """Return the first plan of a resource with this spec."""
    return _planned(resource(kind, spec), resource(kind, spec))


def _plans(kind: str, spec: Json) -> list[Plan]:
    """Return the first plans of a resource and of what refers to it, of failed tasks and of a backlog."""
    own = resource(kind, spec)
    match kind:
        case "KafkaConnection":
            return [_planned(one, own) for one in (own, worlds.CONNECT, worlds.CONSUMER)]
        case "Connector":
            return [_planned(own, own), _failing(spec)]
        case "Consumer":
            return [_planned(own, own), _behind(spec)]
        case "ConnectCluster":
            return [*(_planned(one, own) for one in (own, worlds.CONNECTOR)), _logging(spec)]
        case _:
            return [_planned(own, own)]


def _planned(one: Resource, own: Resource) -> Plan:
    return assumed.plan(one, {**GIVEN, (own.kind, own.name): own}, worlds.SETTINGS, worlds.NOW)


def _failing(spec: Json) -> Plan:
    """Return the plan of a Connector whose task failed again after three restarts."""
    given = {**worlds.CONNECTOR.spec, **({"restart": spec["restart"]} if "restart" in spec else {})}
    world = statuses.changed(statuses.WORLDS["Connector"](), **statuses.connector_that("RUNNING", "FAILED", given))
    past = timestamp(worlds.NOW - timedelta(seconds=1))
    restarts = {"attempts": 3, "lastTime": timestamp(worlds.NOW - timedelta(minutes=2)), "nextTime": past}
    return statuses.planned(worlds.with_status(world, {"observedGeneration": 2, "restarts": restarts}))


def _logging(spec: Json) -> Plan:
    """Return the plan of a ConnectCluster with a worker that tells its loggers."""
    asked = {name: value for name, value in (spec.get("workers") or {}).items() if name == "logLevels"}
    return statuses.planned(statuses.changed(worlds.connect_world(), spec={"kafka": "kafka", "workers": asked}))


def _behind(spec: Json) -> Plan:
    """Return the plan of a Consumer whose oldest record waits for 90 s, of which a replica handles 400 in a second."""
    given = {**worlds.CONSUMER.spec, "scale": spec.get("scale", {})}
    scaling: Json = {"desired": 5, "time": timestamp(worlds.NOW - timedelta(hours=1)), "capacityPerReplica": 400.0}
    scaling["capacityTime"] = timestamp(worlds.NOW)
    rates = dataclasses.replace(worlds.BEHIND, steady_seconds=30.0)
    world = worlds.with_status(worlds.consumer_world(rates=rates), {"scaling": scaling})
    return statuses.planned(statuses.changed(world, spec=given))
