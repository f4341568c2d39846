"""The topics that a Consumer reads: whether they are there, which of them it makes, and which nothing was written to.

A route's topic is made as Kafka Connect would make it, so that one without traffic holds up no other. A table's is made
by its Connector, and one that the spec names as a topic belongs to somebody else: neither is made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from headrace_operator.api.consumer import ConsumerSpec, Source
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConsumerWorld, Reference
from headrace_operator.plan import captured_topics, debezium, publication, sources
from headrace_operator.plan.actions import AlterTopic, CreateTopic
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.own_topics import SIZE
from headrace_operator.plan.reasons import Reason

TYPE = "TopicsReady"
Kind = Literal["route", "table"]
MOST = 5
"""Names that a message has of a kind."""


def finding(world: ConsumerWorld, spec: ConsumerSpec | None, topics: tuple[str, ...]) -> Finding:
    """Say whether all topics are there, and what is missing if not."""
    for kind, reference, reason in (
        ("Connector", world.connector, Reason.CONNECTOR_NOT_FOUND),
        ("ConnectCluster", world.connect, Reason.CONNECT_NOT_FOUND),
        ("KafkaConnection", world.kafka, Reason.KAFKA_NOT_FOUND),
    ):
        missing = _missing(kind, reference, reason, world)
        if missing is not None:
            return missing
    if isinstance(world.topics, Unknown):
        return unknown(TYPE, Reason.KAFKA_UNREACHABLE, world.topics.reason)
    absent = [topic for topic in topics if topic not in world.topics]
    if absent or not topics:
        return false(TYPE, Reason.AWAITING_TOPIC, _awaiting(world, spec, absent))
    return _all_there(world, spec, topics)


def creations(world: ConsumerWorld, spec: ConsumerSpec | None, topics: tuple[str, ...]) -> tuple[CreateTopic, ...]:
    """Return how to make the topics of routes that are missing, where the Connector captures an outbox."""
    if spec is None or not spec.source.routes or isinstance(world.topics, Unknown):
        return ()
    connector, cluster = world.connector, world.connect
    if not isinstance(connector, Resource) or not isinstance(cluster, Resource) or not _has_outbox(connector):
        return ()
    return captured_topics.creations(connector, cluster, (one for one in topics if one not in world.topics))


def widened(world: ConsumerWorld, topics: tuple[str, ...]) -> tuple[AlterTopic, ...]:
    """Return how to let the topics of a Connector take records as large as it may write, once after each look."""
    if not world.settings.fresh or not isinstance(world.connector, Resource):
        return ()
    found = {topic: (world.settings.of.get(topic) or {}) for topic in topics}
    told = {topic: one.get(SIZE, "") for topic, one in found.items() if not isinstance(one, Unknown)}
    sizes = {topic: int(size) for topic, size in told.items() if size.isdecimal()}
    return captured_topics.widened(world.connect, publication.accepted(world.connector), sizes)


def _has_outbox(connector: Resource) -> bool:
    spec = publication.accepted(connector)
    return spec is not None and spec.capture.outbox is not None


def _missing(kind: str, reference: Reference | None, reason: Reason, world: ConsumerWorld) -> Finding | None:
    match reference:
        case Absent():
            text = f"{kind} {_named(world)[kind]} does not exist in this namespace: create it, or name another."
            return false(TYPE, reason, text)
        case Unknown(reason=why):
            return unknown(TYPE, Reason.UNKNOWN, why)
        case _:
            return None


def _named(world: ConsumerWorld) -> dict[str, str | None]:
    """Return the names, by kind, of what lies between a Consumer and its topics."""
    connector = world.connector if isinstance(world.connector, Resource) else None
    connect = world.connect if isinstance(world.connect, Resource) else None
    return {
        "Connector": (world.resource.spec.get("from") or {}).get("connector"),
        "ConnectCluster": None if connector is None else connector.spec.get("connect"),
        "KafkaConnection": sources.kafka_name(world.resource, connector, connect),
    }


def _awaiting(world: ConsumerWorld, spec: ConsumerSpec | None, absent: list[str]) -> str:
    if not absent:
        return "No topic is known, because no spec is accepted."
    if spec is None:
        return f"Awaiting topic {absent[0]}: it does not exist."
    source, connector = spec.source, world.connector
    if source.connector is None or not isinstance(connector, Resource):
        return f"Awaiting topic {absent[0]} of KafkaConnection {source.kafka}: it does not exist."
    named = sources.by_topic(source, connector)
    wrong = {topic: why for topic in absent if (why := _not_captured(connector, source, named[topic]))}
    topic = next(iter(wrong), absent[0])
    begin = f"Awaiting topic {topic} from Connector {connector.name} ({_kind(source)} {named[topic]})."
    return f"{begin} {wrong.get(topic) or _outlook(world, connector, source)}"


def _not_captured(connector: Resource, source: Source, name: str) -> str | None:
    """Say that a Connector captures no such route or table; None while it may."""
    spec = publication.accepted(connector)
    if spec is None:
        return None
    if source.routes:
        return None if spec.capture.outbox else "That Connector captures tables, and no outbox: name tables of it."
    if spec.capture.tables is None:
        return "That Connector captures an outbox, and no tables: name routes of it."
    if name in spec.capture.tables:
        return None
    others = _few(spec.capture.tables)
    return f"That Connector does not capture this table: add it to its spec.capture.tables, or name another ({others})."


def _outlook(world: ConsumerWorld, connector: Resource, source: Source) -> str:
    """Say by whom a topic is made, and when."""
    why = captured_topics.why_not(connector, world.connect) if isinstance(world.connect, Resource) else None
    if why is None:
        return "It is being made." if source.routes else "The Connector makes it once its tasks run."
    what = "outbox" if source.routes else "table"
    return (
        f"It appears with the first record, as {why}; if there were changes, check that the {what} exists and is "
        "captured."
    )


def _all_there(world: ConsumerWorld, spec: ConsumerSpec | None, topics: tuple[str, ...]) -> Finding:
    text, connector = f"All source topics exist: {len(topics)}.", world.connector
    silent = [topic for topic in topics if topic in _unwritten(world)]
    if spec is None or not silent or not isinstance(connector, Resource):
        return true(TYPE, Reason.TOPICS_EXIST, text)
    named, kind = sources.by_topic(spec.source, connector), _kind(spec.source)
    told = _few([f"{topic} ({kind} {named[topic]})" for topic in silent])
    return true(TYPE, Reason.NO_RECORD_YET, f"{text} Nothing was ever written to {told}.{_others(connector, kind)}")


def _others(connector: Resource, kind: Kind) -> str:
    """Return where else a Connector has written, so that a misspelled name is seen; empty where nowhere."""
    begin = debezium.topic(sources.prefix(connector), **{kind: "x"})[:-1]
    written = [str(topic) for topic in connector.status.get("topics") or () if str(topic).startswith(begin)]
    if not written:
        return ""
    names = _few([topic.removeprefix(begin) for topic in written])
    return f" Connector {connector.name} has written to the {kind}s {names}: check the spelling."


def _unwritten(world: ConsumerWorld) -> frozenset[str]:
    """Return the topics of which every partition is seen to have had no record, ever."""
    if isinstance(world.backlog, Unknown):
        return frozenset()
    parts = world.backlog.partitions
    return frozenset(part.topic for part in parts) - {part.topic for part in parts if part.end > 0}


def _kind(source: Source) -> Kind:
    return "route" if source.routes else "table"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST]) + (", …" if len(names) > MOST else "")
