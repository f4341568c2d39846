"""Which spec of a Consumer is in force, which topics it reads, and what waits in those that an edit takes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from headrace import names as kafka_names
from headrace_operator.api import addresses
from headrace_operator.api import properties as raw
from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.api.consumer import ConsumerSpec, Source
from headrace_operator.api.kinds import ADDED, NOT_ADDED
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConsumerWorld
from headrace_operator.plan import acceptance, compensation, debezium, deduplication, names
from headrace_operator.plan.acceptance import Acceptance, Check
from headrace_operator.plan.conditions import Finding, false
from headrace_operator.plan.reasons import Reason


def topics(source: Source, connector: Resource | None) -> tuple[str, ...]:
    """Return the topics that `source` names; none while the Connector it names is not there."""
    if source.topics is not None:
        return tuple(source.topics)
    if connector is None:
        return ()
    return tuple(by_topic(source, connector))


def by_topic(source: Source, connector: Resource) -> Mapping[str, str]:
    """Return the topics of a Connector that `source` names, each with the route or table that it names it by."""
    begin = prefix(connector)
    routes = {debezium.topic(begin, route=route): route for route in source.routes or ()}
    return routes | {debezium.topic(begin, table=table): table for table in source.tables or ()}


def kafka_name(resource: Resource, connector: Resource | None, connect: Resource | None) -> str | None:
    """Return the name of the KafkaConnection that has the topics."""
    source = resource.spec.get("from") or {}
    if not source.get("connector"):
        return source.get("kafka")
    return None if connect is None else connect.spec.get("kafka")


def judge(resource: Resource, *more: Check) -> Acceptance[ConsumerSpec]:
    """Return which spec of a Consumer is in force, by what it says itself and by ``more`` that is known."""
    return acceptance.judge(
        ConsumerSpec,
        resource,
        lambda spec: acceptance.no_login(
            "handler.http.url", spec.handler.http and spec.handler.http.url, raw.LOGIN_OF_URL
        ),
        lambda spec: acceptance.no_login("delivery.deduplication.redis.url", _redis(spec), raw.LOGIN_OF_URL),
        lambda spec: acceptance.no_login(
            "delivery.onDeadLetter.compensate.http.url", compensation.url(spec), raw.LOGIN_OF_URL
        ),
        _addresses,
        _added_header,
        deduplication.ca_of_plain,
        lambda spec: own(resource, spec),
        lambda spec: acceptance.no_login_in_image(
            "handler.python.image", spec.handler.python and spec.handler.python.image
        ),
        *more,
    )


def _addresses(spec: ConsumerSpec) -> Finding | None:
    """Say which address is none, or leads where none may; that of a Redis is one already."""
    found = (
        ("handler.http.url", spec.handler.http.url if spec.handler.http else None, addresses.WEB),
        ("delivery.onDeadLetter.compensate.http.url", compensation.url(spec), addresses.WEB),
        ("delivery.deduplication.redis.url", _redis(spec), addresses.STORE),
    )
    judged = (acceptance.address(field, value, kind) for field, value, kind in found)
    return next((one for one in judged if one), None)


def _added_header(spec: ConsumerSpec) -> Finding | None:
    """Say that the header that names messages is one that the runtime adds."""
    name = spec.delivery.message_id_header if spec.delivery else None
    if name is None or not name.startswith(ADDED):
        return None
    return false("Accepted", Reason.INVALID, f"spec.delivery.messageIdHeader: {NOT_ADDED.message}.")


def own(resource: Resource, spec: ConsumerSpec) -> Finding | None:
    """Say that a Consumer would read what it writes itself: its letters would come back to it for ever."""
    mine = kafka_names.own_topics(resource.place, resource.name)
    topic = next((one for one in spec.source.topics or () if one in mine), None)
    if topic is None:
        return None
    text = (
        f"spec.from.topics has {topic}, which this Consumer writes itself: take it out, or read it by another Consumer."
    )
    return false("Accepted", Reason.INVALID, text)


def _redis(spec: ConsumerSpec) -> str | None:
    asked = deduplication.wanted(spec)
    return asked.redis.url if asked and asked.redis else None


def read(judged: Acceptance[ConsumerSpec]) -> Source | None:
    """Return what is read: also where this version cannot read all of the accepted spec, as pods do so on and on."""
    if judged.spec is not None:
        return judged.spec.source
    return None if judged.accepted is None else _written(judged.accepted["spec"].get("from"))


def in_force(resource: Resource, connector: Resource | None) -> tuple[str, ...]:
    """Return the topics of the spec in force, if no record waits in one that it takes out."""
    source = read(judge(resource))
    return () if source is None else topics(source, connector)


def counted(resource: Resource, connector: Resource | None, now: tuple[str, ...]) -> tuple[str, ...]:
    """Return the topics whose records are waited for: those read until ``now``, while an edit takes one of them out."""
    before = _before(resource)
    if before is None or set(topics(before, connector)) <= set(now):
        return now
    return topics(before, connector)


def abandoned(world: ConsumerWorld, spec: ConsumerSpec) -> Finding | None:
    """Say in which topics records wait that `spec` would take out of a Consumer that runs, and how many."""
    before = _before(world.resource)
    if before is None or not (leaving := _names(before) - _names(spec.source)):
        return None
    connector = world.connector if isinstance(world.connector, Resource) else None
    if isinstance(world.backlog, Unknown) or (before.connector and connector is None):
        named = ", ".join(" ".join(one) for one in sorted(leaving))
        why = world.backlog.reason if isinstance(world.backlog, Unknown) else "the Connector is not there"
        return _refused(f"how many records wait there ({named}) is not known: {why.rstrip('.')}.")
    gone = sorted(set(topics(before, connector)) - set(topics(spec.source, connector)))
    waiting = ", ".join(f"{count} in {topic}" for topic in gone if (count := _lag(world.backlog, topic)))
    return _refused(f"records wait there that would never be handled: {waiting}.") if waiting else None


def _refused(why: str) -> Finding:
    text = (
        f"spec.from takes out what this Consumer reads, and {why} It reads on as before: "
        "wait until nothing waits there, put it back, or delete this Consumer and make it anew."
    )
    return false("Accepted", Reason.RECORDS_WAIT, text)


def _before(resource: Resource) -> Source | None:
    """Return what a Consumer that runs, or ran and is paused, read until now."""
    accepted = acceptance.recorded(resource)
    if accepted is None or not (resource.status.get("replicas") or resource.status.get("startTime")):
        return None
    return _written(accepted["spec"].get("from"))


def _written(source: Any) -> Source | None:
    """Return what a spec says is read, of which this version may not take every word."""
    try:
        return Source.model_validate(source)
    except ValidationError:
        written = source if isinstance(source, Mapping) else {}
    lists = {name: _texts(written.get(name)) for name in ("routes", "tables", "topics")}
    words = {name: word for name in ("connector", "kafka") if isinstance(word := written.get(name), str)}
    known: dict[str, Any] = {**words, **{name: texts for name, texts in lists.items() if texts}}
    return Source.model_construct(**known) if known else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()


def _names(source: Source) -> set[tuple[str, str]]:
    named = (("topic", source.topics), ("route", source.routes), ("table", source.tables))
    return {(kind, name) for kind, every in named for name in every or ()}


def _lag(backlog: BacklogSeen, topic: str) -> int:
    return sum(part.lag for part in backlog.partitions if part.topic == topic)


def prefix(connector: Resource) -> str:
    """Return how the topics of a Connector begin: as it said, or as its spec will make it say."""
    in_use = connector.status.get("topicPrefix")
    try:
        return in_use or debezium.prefix(connector, ConnectorSpec.model_validate(dict(connector.spec)))
    except ValidationError:
        return names.connector(connector.place, connector.name)
