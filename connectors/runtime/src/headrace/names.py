"""Names of what a consumer owns on Kafka; the same on both sides of the contract.

It must not look anything up: every name follows from its arguments.
"""

from __future__ import annotations

HANDLING = "while handling "
"""How the termination message of a container begins that ended with records which may be the cause; they follow."""


def group(namespace: str, consumer: str) -> str:
    """Return the consumer group of a Consumer."""
    return f"headrace.{namespace}.{consumer}"


def retry_topic(namespace: str, consumer: str) -> str:
    """Return the topic that redriven records and those of parked keys go through."""
    return f"retry.{namespace}.{consumer}"


def dead_letter_topic(namespace: str, consumer: str) -> str:
    """Return the topic of records that could not be handled."""
    return f"dlq.{namespace}.{consumer}"


def resolutions_topic(namespace: str, consumer: str) -> str:
    """Return the compacted topic that says what became of each dead letter."""
    return f"dlq.{namespace}.{consumer}.resolutions"


def own_topics(namespace: str, consumer: str) -> tuple[str, str, str]:
    """Return the topics that a Consumer writes: of retries, of dead letters, and of their resolutions."""
    at = (namespace, consumer)
    return retry_topic(*at), dead_letter_topic(*at), resolutions_topic(*at)
