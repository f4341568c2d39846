"""The topics of a Connector's records, made before the first of them: with what Kafka Connect itself would give them.

Names and settings follow from the accepted spec alone. What properties of the user's own could name otherwise, or set
to what is not known here, is left to Kafka Connect, which makes it with the first record.
See `TopicCreationGroup` of Kafka Connect (KIP-158).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import Reference
from headrace_operator.plan import debezium, needs, publication
from headrace_operator.plan.actions import AlterTopic, CreateTopic
from headrace_operator.plan.own_topics import SIZE

CREATION = "topic.creation."
GROUPS = f"{CREATION}groups"
DEFAULT = "default"
SHAPE = frozenset({"include", "exclude", "partitions", "replication.factor"})
"""Properties of a group that are no settings of its topics."""

RENAMING = re.compile(
    r"transforms|transforms\.outbox\.(route|type|predicate|negate).*|topic\.(naming|delimiter).*"
    r"|(table|schema)\.(include|exclude)\.list"
)
"""Properties of the user's own by which records may go to other topics than Headrace knows."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How Kafka Connect makes a topic; -1 is the brokers' own, as in its properties."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


def of_tables(connector: Resource) -> tuple[str, ...]:
    """Return the topics of the tables that an accepted Connector captures; none of an outbox, whose rows name them."""
    spec = publication.accepted(connector)
    if spec is None:
        return ()
    prefix = debezium.prefix(connector, spec)
    return tuple(dict.fromkeys(debezium.topic(prefix, table=table) for table in spec.capture.tables or ()))


def why_not(connector: Resource, cluster: Resource) -> str | None:
    """Say why no topic of a Connector is made before its first record; None when they are."""
    spec = publication.accepted(connector)
    if spec is None:
        return f"no spec of Connector {connector.name} is accepted yet"
    renamed = next((name for name in spec.config or {} if RENAMING.fullmatch(name)), None)
    if renamed is not None:
        return f"spec.config.{renamed} of Connector {connector.name} may lead its records elsewhere"
    workers = needs.accepted(cluster).get("workers") or {}
    if str((workers.get("config") or {}).get(f"{CREATION}enable")).lower() == "false":
        return f"spec.workers.config of ConnectCluster {cluster.name} has {CREATION}enable=false"
    return None


def creations(connector: Resource, cluster: Resource, missing: Iterable[str]) -> tuple[CreateTopic, ...]:
    """Return how to make those topics of a Connector that are ``missing``."""
    spec = publication.accepted(connector)
    kafka = cluster.spec.get("kafka")
    if spec is None or not isinstance(kafka, str) or why_not(connector, cluster) is not None:
        return ()
    properties = debezium.configuration(connector, spec)
    made = ((name, as_connect_makes(properties, name)) for name in missing)
    return tuple(
        CreateTopic(
            namespace=connector.namespace,
            kafka=kafka,
            topic=name,
            partitions=one.partitions,
            replicas=one.replicas if one.replicas > 0 else None,
            config=one.config,
        )
        for name, one in made
        if one is not None
    )


def sized(connector: Resource) -> tuple[str, ...]:
    """Return the topics whose size follows the spec as written: of tables, and what was written to; none without."""
    if not isinstance(topics := connector.spec.get("topics"), Mapping) or topics.get("maxRecordBytes") is None:
        return ()
    begin = f"{connector.status.get('topicPrefix')}."
    written = (topic for topic in connector.status.get("topics") or () if str(topic).startswith(begin))
    return tuple(dict.fromkeys((*of_tables(connector), *map(str, written))))


def widened(cluster: Reference | None, spec: ConnectorSpec | None, sizes: Mapping[str, int]) -> tuple[AlterTopic, ...]:
    """Return how to let topics take a record as large as the spec says, which take less; ``sizes`` are in bytes."""
    largest = spec.topics.max_record_bytes if spec and spec.topics else None
    if largest is None or not isinstance(cluster, Resource):
        return ()
    at = {"namespace": cluster.namespace, "kafka": str(cluster.spec.get("kafka"))}
    narrow = (topic for topic, size in sizes.items() if size < largest)
    return tuple(AlterTopic(topic=topic, config={SIZE: str(largest)}, **at) for topic in narrow)


def as_connect_makes(properties: Mapping[str, str], topic: str) -> Made | None:
    """Return how Kafka Connect makes ``topic``: as its first group says that includes it, else as the default one.

    None where that is not known here: a pattern that only Java reads, or a value from elsewhere.
    """
    try:
        group = next((one for one in debezium.listed(properties, GROUPS) if _takes(properties, one, topic)), DEFAULT)
        partitions = int(_shape(properties, group, "partitions"))
        replicas = int(_shape(properties, group, "replication.factor"))
    except (re.error, ValueError):
        return None
    begin = f"{CREATION}{group}."
    given = {name.removeprefix(begin): value for name, value in properties.items() if name.startswith(begin)}
    config = {name: value for name, value in given.items() if name not in SHAPE}
    is_known = not any("${" in value for value in config.values())
    return Made(partitions=partitions, replicas=replicas, config=config) if is_known else None


def _takes(properties: Mapping[str, str], group: str, topic: str) -> bool:
    included, excluded = (
        "|".join(debezium.listed(properties, f"{CREATION}{group}.{name}")) for name in ("include", "exclude")
    )
    return bool(group != DEFAULT and re.fullmatch(included, topic) and not re.fullmatch(excluded, topic))


def _shape(properties: Mapping[str, str], group: str, name: str) -> str:
    """Return the figure of a group, or the default one's; it is there, as Headrace sets that."""
    return properties.get(f"{CREATION}{group}.{name}", properties[f"{CREATION}{DEFAULT}.{name}"]).strip()
