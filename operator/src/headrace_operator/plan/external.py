"""A Kafka Connect that others run: whether it can do what its Connectors ask, as far as it tells. Pure.

Source: Kafka Connect's REST interface; connectors are made paused since 3.7 (KIP-980), offsets are changed since 3.6
(KIP-875). Confluent Platform counts otherwise: its 7.7 is 3.7, its 8.0 is 4.0. Of the properties that Headrace sets
Debezium knows the last two since 3.2: its plug-ins of 2.7, 3.0 and 3.1 do not have their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.external import External
from headrace_operator.api.kinds import SAME_CONNECT, SAME_WORKERS
from headrace_operator.api.schema import Rule
from headrace_operator.api.secret_reference import EXAMPLE
from headrace_operator.observed.connect import WorkersSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import Reference
from headrace_operator.plan import debezium, needs
from headrace_operator.plan.conditions import Finding, false, unknown
from headrace_operator.plan.reasons import Reason

OLDEST, OLDEST_DEBEZIUM = (3, 7), (3, 2)
OURS = "dev.headrace."
LISTED = {"dev.headrace.connect.debezium.ReadableConverter": "dev.headrace.connect.debezium.PlainConverter"}
"""Classes that Kafka Connect lists nowhere, as only a plug-in knows them, with one of the same jar that it does."""

HOW = "docs/connect-cluster.md says how to give it the plug-ins of Headrace"


def is_meant(cluster: Resource) -> bool:
    """Tell whether others run a ConnectCluster: by its accepted spec, and before there is one as written."""
    return bool((needs.accepted(cluster) or cluster.spec).get("external"))


def is_one(cluster: Reference) -> bool:
    """Tell whether what a Connector refers to is there, and others run it."""
    return isinstance(cluster, Resource) and is_meant(cluster)


def in_force(cluster: Resource) -> External | None:
    """Return how it is reached, by the accepted spec alone: until there is one nobody is asked."""
    try:
        return External.model_validate(needs.accepted(cluster).get("external"))
    except ValidationError:
        return None


def moved(cluster: Resource, spec: ConnectClusterSpec) -> Finding | None:
    """Say that a spec leads from workers to a Kafka Connect of others, back, or to another one, once it was accepted.

    The definitions refuse that, too; those of another release may not.
    """
    before, now = needs.accepted(cluster), spec.external
    if not before:
        return None
    was = before.get("external")
    if bool(was) != bool(now):
        return _stays(SAME_WORKERS)
    return _stays(SAME_CONNECT) if was and now and _place(was["url"]) != _place(now.url) else None


def _stays(rule: Rule) -> Finding:
    return false("Accepted", Reason.INVALID, f"{(rule.field_path or '').removeprefix('.')}: {rule.message}.")


def _place(url: str) -> str:
    return url.replace("https://", "http://")


def unfit(cluster: Resource, external: External, workers: WorkersSeen, kafka: Reference) -> Finding | None:
    """Say why a Kafka Connect that answers is of no use: it is too old, or has another Kafka.

    That is not known while the KafkaConnection does not tell its own; what was found well stays so meanwhile.
    """
    if (version := _of_kafka(workers.version)) is not None and version < OLDEST:
        text = (
            f"Kafka Connect {workers.version} at {external.url} is too old: Headrace needs Apache Kafka's 3.7 or later "
            "(Confluent's 7.7), for connectors that are made paused and offsets that are changed. Nothing is put there."
        )
        return false("Answering", Reason.CONNECT_UNFIT, text)
    known = kafka.status.get("clusterId") if isinstance(kafka, Resource) else None
    if not known and (cluster.condition("Answering") or {}).get("status") != "True":
        text = (
            f"It is not known yet whether Kafka Connect at {external.url} writes to the Kafka of KafkaConnection "
            f"{cluster.spec.get('kafka')}, which does not tell. Nothing is put there."
        )
        return unknown("Answering", Reason.UNKNOWN, text)
    if known and known != workers.kafka_cluster_id:
        text = (
            f"Kafka Connect at {external.url} writes to the Kafka {workers.kafka_cluster_id}, and the KafkaConnection "
            f"is of {known}, where nobody would find the records: name the KafkaConnection of its Kafka. Nothing is "
            "put there."
        )
        return false("Answering", Reason.CONNECT_UNFIT, text)
    return None


def advice(workers: WorkersSeen) -> str:
    """Say that its Debezium does not know all that Headrace sets; empty where it does, or that is not known."""
    version = next((one.version for one in workers.plugins if one.class_name == debezium.CLASS), "")
    found = re.match(r"(\d+)\.(\d+)\.", version)
    if found is None or (int(found[1]), int(found[2])) >= OLDEST_DEBEZIUM:
        return ""
    return (
        f" Its Debezium for PostgreSQL, {version}, is older than 3.2, and does not know publish.via.partition.root and "
        "connection.validation.timeout.ms: changes of a partitioned table go to the topics of its partitions, unless "
        "the publication is yours or the source agent's."
    )


def refusal(cluster: Reference, made: Mapping[str, str]) -> Finding | None:
    """Say what a Kafka Connect that others run lacks for a connector that is configured so."""
    if not isinstance(cluster, Resource) or (external := in_force(cluster)) is None:
        return None
    if external.secret_reference is None:
        text = (
            f"ConnectCluster {cluster.name} is a Kafka Connect of others, and does not say how that reads Secrets: set "
            f"its spec.external.secretReference, such as {EXAMPLE}."
        )
        return false("Accepted", Reason.CONNECT_UNFIT, text)
    offered = {one["class"] for one in cluster.status.get("plugins") or ()}
    missing = next((one for one in _needed(made) if LISTED.get(one, one) not in offered), None) if offered else None
    if missing is None:
        return None
    text = f"The Kafka Connect of ConnectCluster {cluster.name} has no plug-in {missing}, which this Connector needs"
    return false(
        "Accepted", Reason.CONNECT_UNFIT, f"{text}: install it there. {HOW}." if OURS in missing else f"{text}."
    )


def holds(cluster: Reference) -> Finding | None:
    """Say why nothing is put on a Kafka Connect of others: its ConnectCluster's own pass judges it, and has not yet."""
    if not isinstance(cluster, Resource) or not is_meant(cluster):
        return None
    told = cluster.condition("Answering") or {}
    if told.get("reason") == Reason.CONNECT_UNFIT:
        return false("ConnectKnown", Reason.CONNECT_UNFIT, str(told["message"]))
    if told.get("status") == "Unknown":
        return unknown("ConnectKnown", Reason.UNKNOWN, str(told["message"]))
    if cluster.status.get("version"):
        return None
    text = f"What the Kafka Connect of ConnectCluster {cluster.name} can do is not known yet: it is being asked."
    return unknown("ConnectKnown", Reason.UNKNOWN, text)


def listed(workers: WorkersSeen) -> list[dict[str, Any]]:
    """Return the plug-ins that a status tells: sources, and what is Headrace's own."""
    return [
        {"class": plugin.class_name, "version": plugin.version}
        for plugin in workers.plugins
        if plugin.type == "source" or plugin.class_name.startswith(OURS)
    ]


def _needed(made: Mapping[str, str]) -> Iterator[str]:
    """Yield the classes of a configuration that must be there: the connector's, and Headrace's own."""
    yield made["connector.class"]
    yield from sorted({value for value in made.values() if value.startswith(OURS)})


def _of_kafka(version: str) -> tuple[int, int] | None:
    """Return which version of Apache Kafka it is; None where that is not known."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None:
        return None
    major, minor = int(found[1]), int(found[2])
    return (major - 4, minor) if re.search(r"-(ccs|ce)\b", version) else (major, minor)
