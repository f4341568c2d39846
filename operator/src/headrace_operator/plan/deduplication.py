"""Passing over messages that were handled: what pods are given for it, and whether it is remembered for long enough."""

from __future__ import annotations

from typing import Any

from headrace import config as contract
from headrace import names as kafka_names
from headrace_operator.api.consumer import ConsumerSpec, Deduplication, Redis
from headrace_operator.api.durations import seconds
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import Secrets
from headrace_operator.plan import acceptance
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.own_topics import NOT_LOOKED, Settings
from headrace_operator.plan.reasons import Reason

WINDOW = "DedupeWindow"
RETENTION = "retention.ms"


def wanted(spec: ConsumerSpec) -> Deduplication | None:
    """Return what a Consumer wants to be passed over; None is nothing."""
    return spec.delivery.deduplication if spec.delivery else None


def configuration(asked: Deduplication | None) -> contract.Deduplication | None:
    """Return the part of the contract that says where handled messages are remembered."""
    if asked is None:
        return None
    known = contract.Memory()
    memory = asked.memory and contract.Memory(messages=asked.memory.messages or known.messages)
    return contract.Deduplication(window=_window(asked), memory=memory, redis=asked.redis and _redis(asked.redis))


def ca_of_plain(spec: ConsumerSpec) -> Finding | None:
    """Say that an authority is named for a connection that is not encrypted."""
    asked = wanted(spec)
    redis = asked.redis if asked else None
    if redis is None or redis.ca is None or redis.url.startswith("rediss://"):
        return None
    text = (
        "spec.delivery.deduplication.redis.ca is for rediss://, and the address is redis://, which is not encrypted: "
        "write rediss://, or leave ca out."
    )
    return false("Accepted", Reason.INVALID, text)


def only_to_hosts(spec: ConsumerSpec, seen: Secrets) -> Finding | None:
    """Say that a Secret may not be sent to the Redis that it is for."""
    asked = wanted(spec)
    address = asked.redis.url if asked and asked.redis else ""
    return acceptance.only_to_hosts(secrets_of(spec), seen, [address])


def secrets_of(spec: ConsumerSpec) -> tuple[str, ...]:
    """Return the names of the Secrets that pods are given for the store."""
    return tuple(name for name, _ in keys_of(spec))


def keys_of(spec: ConsumerSpec) -> tuple[tuple[str, str], ...]:
    """Return the same, each with the key that it must have; a user name it may lack."""
    asked = wanted(spec)
    redis = asked.redis if asked else None
    found = []
    if redis and redis.credentials:
        found.append((redis.credentials.secret, redis.credentials.keys[1]))
    if redis and redis.ca:
        found.append((redis.ca.secret, redis.ca.key))
    return tuple(found)


def _redis(redis: Redis) -> contract.Redis:
    at = contract.REDIS_CREDENTIALS
    return contract.Redis(
        url=redis.url,
        username_file=f"{at}/username" if redis.credentials else None,
        password_file=f"{at}/password" if redis.credentials else None,
        ca_file=f"{at}/ca.crt" if redis.ca else None,
    )


def credentials(asked: Deduplication | None) -> list[dict[str, Any]]:
    """Return the Secrets that pods mount for the store; a user name may be missing from its own."""
    redis = asked.redis if asked else None
    sources: list[dict[str, Any]] = []
    if redis and redis.credentials:
        named = redis.credentials
        user, secret = named.keys
        password, username = {"key": secret, "path": "password"}, {"key": user, "path": "username"}
        sources.append({"secret": {"name": named.secret, "items": [password]}})
        sources.append({"secret": {"name": named.secret, "items": [username], "optional": True}})
    if redis and redis.ca:
        sources.append({"secret": {"name": redis.ca.secret, "items": [{"key": redis.ca.key, "path": "ca.crt"}]}})
    return sources


def findings(resource: Resource, spec: ConsumerSpec | None, settings: Settings) -> list[Finding]:
    """Say whether handled messages are remembered until no dead letter of theirs can be put back any more."""
    asked = wanted(spec) if spec else None
    if spec is None or asked is None:
        return []
    topic = kafka_names.dead_letter_topic(resource.place, resource.name)
    found = settings.get(topic, NOT_LOOKED)
    if isinstance(found, Unknown) or RETENTION not in found:
        why = found.reason if isinstance(found, Unknown) else f"{RETENTION} was not answered"
        return [unknown(WINDOW, Reason.SETTINGS_UNKNOWN, f"How long {topic} keeps dead letters is not known: {why}.")]
    kept = float(found[RETENTION]) / 1000
    return [_judged(_window(asked), kept, longest_redrive(spec))]


def _judged(window: float, kept: float, redrive: float) -> Finding:
    numbers = (
        f"A handled message is remembered for {_told(window)}, its dead letters are kept "
        f"{'for ever' if kept < 0 else f'for {_told(kept)}'}, and a redrive takes up to {_told(redrive)}"
    )
    if kept >= 0 and kept + redrive < window:
        return true(WINDOW, Reason.WINDOW_COVERS, f"{numbers}.")
    text = (
        f"{numbers}: one that is put back after {_told(max(0.0, window - redrive))} may be handled though another "
        "delivery of its message was. Put dead letters back before, or use headrace.inbox, which forgets nothing."
    )
    return false(WINDOW, Reason.WINDOW_TOO_SHORT, text)


def longest_redrive(spec: ConsumerSpec) -> float:
    """Return the seconds from the first to the end of the last attempt at a record, while its target is there."""
    retry = spec.delivery.retry if spec.delivery else None
    known = contract.Retry()
    handler = spec.handler.http or spec.handler.python
    timeout = seconds(handler.timeout if handler else None, contract.Http(url="").timeout)
    if retry and retry.max_age:
        return seconds(retry.max_age, 0) + timeout
    attempts = (retry and retry.attempts) or known.attempts
    backoff = retry.backoff if retry else None
    return attempts * timeout + (attempts - 1) * seconds(backoff.max if backoff else None, known.max)


def _window(asked: Deduplication) -> float:
    return seconds(asked.window, contract.Deduplication.model_fields["window"].default)


def _told(length: float) -> str:
    """Return a length of time as users write it, in its two largest units."""
    left, parts = round(length), []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"
