"""The topics that a Consumer owns on Kafka: the settings that delivery rests on, and what differs from them.

Whoever set a setting, and whatever the brokers' defaults are, it is read back and mended. What is not known is told,
and never taken for right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headrace import names as kafka_names
from headrace_operator.observed.kafka import TopicsSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan.actions import AlterTopic, CreateTopic, GrowTopic
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.reasons import Reason

Settings = Mapping[str, Mapping[str, str] | Unknown]
"""Settings of topics by name; a topic that is missing was not looked at."""

HEADERS = 64 * 1024
"""Bytes that a dead letter or a retry record may have beyond its source record."""

LARGEST = 2**31 - 1
FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}
SIZE, IN_SYNC = "max.message.bytes", "min.insync.replicas"
KEPT = "TopicsKept"
REMAPPED = (
    "Where a source got more partitions, producers write keys to others than before. What they write to added ones "
    "waits for what was there before; what moves between older ones may run beside what still waits of its key."
)
NOT_LOOKED = Unknown(reason="they were not looked at yet")


@dataclass(frozen=True, kw_only=True)
class OwnTopic:
    """How a topic must be: ``exact`` settings, and those that must be at ``least`` so much; None where not known."""

    name: str
    partitions: int
    replicas: int | None
    exact: Mapping[str, str]
    least: Mapping[str, int]


def wanted(
    resource: Resource, sources: tuple[str, ...], topics: TopicsSeen, settings: Settings
) -> tuple[OwnTopic, ...]:
    """Return the retry, dead-letter and resolutions topic; ``sources`` exist."""
    at = (resource.place, resource.name)
    partitions = max(topics[source].partitions for source in sources)
    replicas = max((topics[source].replicas or 0 for source in sources), default=0) or None
    size = _size(sources, settings)
    shapes: tuple[tuple[str, int, str, Mapping[str, int]], ...] = (
        (kafka_names.retry_topic(*at), partitions, "delete", size),
        (kafka_names.dead_letter_topic(*at), partitions, "delete", size),
        (kafka_names.resolutions_topic(*at), 1, "compact", {}),
    )
    return tuple(
        OwnTopic(
            name=name,
            partitions=count,
            replicas=replicas,
            exact={"cleanup.policy": policy, **FOREVER},
            least={**least, **_in_sync(topics[name].replicas if name in topics else replicas)},
        )
        for name, count, policy, least in shapes
    )


def creations(own: tuple[OwnTopic, ...], topics: TopicsSeen, namespace: str, kafka: str) -> tuple[CreateTopic, ...]:
    """Return how to make those that do not exist, with as many replicas as the sources have."""
    return tuple(
        CreateTopic(
            namespace=namespace,
            kafka=kafka,
            topic=one.name,
            partitions=one.partitions,
            replicas=one.replicas,
            config={**one.exact, **{name: str(least) for name, least in one.least.items()}},
        )
        for one in own
        if one.name not in topics
    )


def alterations(own: tuple[OwnTopic, ...], settings: Settings, namespace: str, kafka: str) -> tuple[AlterTopic, ...]:
    """Return how to mend what differs: first what would delete or refuse records, then what is a matter of degree.

    They are apart, as Kafka refuses all settings of one topic together.
    """
    exact = ((one.name, {name: one.exact[name] for name in _unlike(one, settings)}) for one in own)
    least = ((one.name, {name: str(one.least[name]) for name in _too_low(one, settings)}) for one in own)
    return tuple(
        AlterTopic(namespace=namespace, kafka=kafka, topic=topic, config=config)
        for topic, config in (*exact, *least)
        if config
    )


def growths(own: tuple[OwnTopic, ...], topics: TopicsSeen, namespace: str, kafka: str) -> tuple[GrowTopic, ...]:
    """Return how to give those that exist as many partitions as the source with the most has.

    Pods read no partition of a source before the retry topic has one of its number.
    """
    return tuple(
        GrowTopic(namespace=namespace, kafka=kafka, topic=one.name, partitions=one.partitions)
        for one in own
        if one.name in topics and topics[one.name].partitions < one.partitions
    )


def finding(
    own: tuple[OwnTopic, ...], sources: tuple[str, ...], topics: TopicsSeen, settings: Settings
) -> Finding | None:
    """Say whether the topics keep what they hold; None while they are not all there."""
    if any(one.name not in topics for one in own):
        return None
    wrong = [text for one in own for text in differences(one, topics, settings)]
    if wrong:
        mend = (
            "Settings and partitions are mended where the login may (AlterConfigs and Alter on the topic); else, and "
            "the rest, mend yourself."
        )
        if any(topics[one.name].partitions < one.partitions for one in own):
            mend = f"{mend} {REMAPPED}"
        return false(KEPT, Reason.SETTINGS_DIFFER, f"Topic {'; topic '.join(wrong)}. {mend}")
    dark = unknowns(own, sources, settings)
    if dark:
        ask = "Allow the login DescribeConfigs on the topic, or see to it yourself."
        return unknown(KEPT, Reason.SETTINGS_UNKNOWN, f"Settings are not known of {'; '.join(dark)}. {ask}")
    replicas = min(topics[one.name].replicas or 0 for one in own)
    told = f" Replicas: {replicas}." if replicas else ""
    return true(KEPT, Reason.SETTINGS_KEPT, f"The Consumer's own topics keep what they hold.{told}")


def differences(one: OwnTopic, topics: TopicsSeen, settings: Settings) -> Iterator[str]:
    """Yield what is known to be wrong with a topic that exists, with name and value."""
    found, has = _known(one, settings), topics[one.name]
    for name in _unlike(one, settings):
        yield f"{one.name} has {name}={found[name]} where {one.exact[name]} is needed"
    for name in _too_low(one, settings):
        yield f"{one.name} has {name}={found[name]} where at least {one.least[name]} is needed"
    if has.partitions < one.partitions:
        yield f"{one.name} has {has.partitions} partitions where its source has {one.partitions}"
    if has.replicas and one.replicas and has.replicas < one.replicas:
        yield f"{one.name} has {has.replicas} replicas where its source has {one.replicas}"


def unknowns(own: tuple[OwnTopic, ...], sources: tuple[str, ...], settings: Settings) -> list[str]:
    """Return of which topics the settings are not known, and why."""
    needed = {one.name: {*one.exact, *one.least} for one in own} | {source: {SIZE} for source in sources}
    return [why for name, each in needed.items() for why in _dark(name, settings.get(name, NOT_LOOKED), each)]


def _dark(name: str, found: Mapping[str, str] | Unknown, needed: set[str]) -> Iterator[str]:
    if isinstance(found, Unknown):
        yield f"{name}: {found.reason}"
    elif missing := sorted(needed - found.keys()):
        yield f"{name}: {', '.join(missing)} was not answered"


def _known(one: OwnTopic, settings: Settings) -> Mapping[str, str]:
    found = settings.get(one.name, NOT_LOOKED)
    return {} if isinstance(found, Unknown) else found


def _unlike(one: OwnTopic, settings: Settings) -> list[str]:
    found = _known(one, settings)
    return [name for name, value in one.exact.items() if found.get(name, value) != value]


def _too_low(one: OwnTopic, settings: Settings) -> list[str]:
    found = _known(one, settings)
    return [name for name, least in one.least.items() if 0 <= _number(found.get(name)) < least]


def _size(sources: tuple[str, ...], settings: Settings) -> dict[str, int]:
    """Return how large a record must be allowed to be: as the largest of the sources, with headers of ours."""
    found = (settings.get(source, NOT_LOOKED) for source in sources)
    largest = max(-1 if isinstance(one, Unknown) else _number(one.get(SIZE)) for one in found)
    return {} if largest < 0 else {SIZE: min(LARGEST, largest + HEADERS)}


def _in_sync(replicas: int | None) -> dict[str, int]:
    """Return how many replicas must have a record: two, where one may be away meanwhile."""
    return {IN_SYNC: 2} if replicas and replicas >= 3 else {}


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else -1
