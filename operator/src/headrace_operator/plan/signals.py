"""How a connector is told of snapshots and tells of them: Debezium's signals and notifications, each by a topic.

A connector is configured for them once a Snapshot asks for it, and then for good. Its client of signals logs in as the
workers do, to the address of their KafkaConnection and to no other. Source: Debezium's `KafkaSignalChannel`, which
reads the first partition alone, and `SinkNotificationChannel`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, accepted
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import Reference
from headrace_operator.plan import debezium, external, java_login, needs, publication
from headrace_operator.plan.actions import CreateTopic

TOPIC = "signal.kafka.topic"
CHANNELS = re.compile(
    r"signal\.(enabled\.channels|kafka\.(topic|groupId|bootstrap\.servers)|consumer\..*)"
    r"|notification\.(enabled\.channels|sink\.topic\.name)"
)
"""Properties of the user's own by which signals or notifications would go elsewhere."""

TABLE = "signal.data.collection"
READ_ONLY = "read.only"
CONVERTER = "value.converter"
READABLE = frozenset({debezium.JSON, debezium.PLAIN})
"""Converters by which a notification is JSON."""

MASK = "custom.sanitize.pattern"
MASKED = (
    r".*secret$|.*password$|.*sasl\.jaas\.config$|.*basic\.auth\.user\.info|.*registry\.auth\.client-secret"
    r"|.*credentials\.json$|.*connectionstring$|.*connection\.string$"
)
"""Names of what Debezium does not log, as it has them itself (3.6): a private key is not among them."""

DAY = 24 * 60 * 60 * 1000
SIGNALS = {"cleanup.policy": "delete", "retention.ms": str(DAY), "retention.bytes": "-1"}
"""A connector whose group is forgotten reads all that is there: what is a day old was answered, or never will be."""

NOTIFICATIONS = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY), "retention.bytes": "-1"}


def signals_topic(prefix: str) -> str:
    """Return the topic by which a connector is told, by the prefix of its topics."""
    return f"{prefix}.signals"


def notifications_topic(prefix: str) -> str:
    """Return the topic in which a connector tells."""
    return f"{prefix}.notifications"


def asked(connector: Resource, snapshots: tuple[Resource, ...]) -> bool:
    """Tell whether a Connector is to listen: it does so already, or one of ``snapshots`` that is accepted awaits it.

    A connector that takes its first snapshot would begin that anew.
    """
    awaiting = (one for one in snapshots if one.spec.get("connector") == connector.name)
    return bool(connector.status.get("signals")) or (
        bool(connector.status.get("snapshotTaken")) and any(map(_awaits, awaiting))
    )


def _awaits(snapshot: Resource) -> bool:
    is_accepted = (snapshot.condition("Accepted") or {}).get("status") == "True"
    return snapshot.status.get("phase") == "Pending" and is_accepted


def obstacle(spec: ConnectorSpec, cluster: Resource, kafka: KafkaConnectionSpec) -> str | None:
    """Say why a Connector cannot be told of snapshots; None when it can."""
    config = spec.config or {}
    if (name := next((one for one in config if CHANNELS.fullmatch(one)), None)) is not None:
        return f"spec.config.{name} of the Connector leads signals or notifications elsewhere: remove it."
    if TABLE not in config and config.get(READ_ONLY, "true").lower() != "true":
        return f"spec.config.{READ_ONLY} of the Connector is false without a {TABLE}: remove it, or name such a table."
    if config.get(CONVERTER, debezium.JSON) not in READABLE:
        return f"spec.config.{CONVERTER} of the Connector writes notifications as Headrace does not read them: JSON."
    if external.is_meant(cluster) and (kafka.sasl or (kafka.tls and kafka.tls.certificate)):
        return (
            f"ConnectCluster {cluster.name} is a Kafka Connect of others, and a login of its Kafka cannot be handed "
            "to a connector there without showing it: snapshots are for a Kafka without a login, or for workers that "
            "Headrace runs."
        )
    return None


def demanded(
    connector: Resource, spec: ConnectorSpec, cluster: Reference | None, kafka: Reference | None
) -> dict[str, str]:
    """Return what configures a connector that is to listen, by the ``kafka`` of its cluster; else nothing."""
    known = accepted(kafka.status) if isinstance(kafka, Resource) else None
    return {} if known is None or not isinstance(cluster, Resource) else properties(connector, spec, cluster, known)


def properties(
    connector: Resource, spec: ConnectorSpec, cluster: Resource, kafka: KafkaConnectionSpec
) -> dict[str, str]:
    """Return what configures a connector for signals and notifications; nothing where it cannot be told of any."""
    if obstacle(spec, cluster, kafka) is not None:
        return {}
    prefix, config = debezium.prefix(connector, spec), spec.config or {}
    login = java_login.properties(connector.namespace, kafka)
    by_table = TABLE in config
    own = {
        "signal.enabled.channels": "source,kafka" if by_table else "kafka",
        TOPIC: signals_topic(prefix),
        "signal.kafka.groupId": signals_topic(prefix),
        "signal.kafka.bootstrap.servers": kafka.bootstrap_servers,
        "signal.kafka.poll.timeout.ms": "0" if by_table else "1000",
        **{f"signal.consumer.{name}": value for name, value in login.items()},
        "notification.enabled.channels": "sink",
        "notification.sink.topic.name": notifications_topic(prefix),
        **({} if by_table else {READ_ONLY: "true"}),
    }
    masked = {MASK: rf"{config.get(MASK, MASKED)}|.*ssl\.keystore\.key$"} if "ssl.keystore.key" in login else {}
    return {**own, **_config_of(config, own), **masked}


def _config_of(config: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return what the user set of properties that Headrace would set: that wins."""
    return {name: value for name, value in config.items() if name in own}


def listens(seen: ConnectorSeen | Absent | Unknown, prefix: str) -> bool:
    """Tell whether a connector is configured for signals."""
    return isinstance(seen, ConnectorSeen) and seen.config.get(TOPIC) == signals_topic(prefix)


def creations(connector: Resource, cluster: Resource, made: Mapping[str, str]) -> tuple[CreateTopic, ...]:
    """Return how to make the topics of a connector that is configured so; none for one that does not listen."""
    spec = publication.accepted(connector)
    replicas = spec.topics.replication_factor if spec and spec.topics else None
    if TOPIC not in made:
        return ()
    prefix = made["topic.prefix"]
    shapes = ((signals_topic(prefix), SIGNALS), (notifications_topic(prefix), NOTIFICATIONS))
    at = {"namespace": connector.namespace, "kafka": str(needs.accepted(cluster).get("kafka") or cluster.spec["kafka"])}
    return tuple(
        CreateTopic(topic=topic, partitions=1, replicas=replicas, config=config, **at) for topic, config in shapes
    )
