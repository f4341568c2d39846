"""Names of what a consumer owns on Kafka; the same on both sides of the contract.

It must not look anything up: every name follows from its arguments. Names begin with a *place*: the namespace, and
before it the Kubernetes cluster's name where several share the Kafka.
"""

from __future__ import annotations

import re
from hashlib import sha256

HANDLING = "while handling "
"""How the termination message of a container begins that ended with records which may be the cause; they follow."""


GROUP = "headrace."
"""How the names of groups and transactional ids begin."""

UNROUTED = "unrouted"
"""The route of outbox rows that have none: NULL or empty."""

LONGEST_TOPIC = 249
_DIGITS = 8


def place(cluster: str, namespace: str) -> str:
    """Return where in Kafka the names of a namespace are; ``cluster`` is empty where a Kafka has but one."""
    return f"{cluster}.{namespace}" if cluster else namespace


def group(place: str, consumer: str) -> str:
    """Return the consumer group of a Consumer."""
    return f"{GROUP}{place}.{consumer}"


def retry_topic(place: str, consumer: str) -> str:
    """Return the topic that redriven records and those of parked keys go through."""
    return f"retry.{place}.{consumer}"


def dead_letter_topic(place: str, consumer: str) -> str:
    """Return the topic of records that could not be handled."""
    return f"dlq.{place}.{consumer}"


def resolutions_topic(place: str, consumer: str) -> str:
    """Return the compacted topic that says what became of each dead letter."""
    return f"dlq.{place}.{consumer}.resolutions"


def own_topics(place: str, consumer: str) -> tuple[str, str, str]:
    """Return the topics that a Consumer writes: of retries, of dead letters, and of their resolutions."""
    at = (place, consumer)
    return retry_topic(*at), dead_letter_topic(*at), resolutions_topic(*at)


def transactional_id(use: str, group: str) -> str:
    """Return the transactional id of one use in a Consumer's group."""
    return f"{GROUP}{use}.{group.removeprefix(GROUP)}"


def outbox_topic(prefix: str, route: str) -> str:
    """Return the topic of an outbox route: ``prefix`` and what Kafka takes of it; a long one is cut and gets a hash."""
    safe, longest = topic_safe(route) or UNROUTED, LONGEST_TOPIC - len(prefix)
    if len(safe) > longest:
        safe = f"{safe[: longest - _DIGITS - 1]}-{sha256(route.encode()).hexdigest()[:_DIGITS]}"
    return prefix + safe


def topic_safe(name: str) -> str:
    """Replace what Kafka forbids by ``_``, as Debezium does.

    It sees UTF-16: a character beyond its first 65,536 becomes two underscores.
    """
    return re.sub(r"[^a-zA-Z0-9._-]", lambda found: "_" * (1 + (found[0] > "\uffff")), name)
