"""Raw client and connector properties: which names a user may set, as one list for the schema and for the plans.

Pure: patterns and lists. `api.kinds` makes CEL rules of them, `plan.acceptance` judges a spec by them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

TUNING = (
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "broker.address.ttl",
    "client.dns.lookup",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "linger.ms",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "message.max.bytes",
    "metadata.max.age.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.sigalgs.list",
    "topic.metadata.refresh.interval.ms",
)
"""Properties of librdkafka that only tune a client.

None of them opens a file or an address, loads code, names a host, holds a secret, or changes what delivery rests on
(offsets, acknowledgements, isolation, group membership, and the deadlines of transactions).
"""

IDENTITY = (
    "connector.class", "database.dbname", "name", "offsets.storage.topic", "slot.name", "topic.prefix",
)  # fmt: skip
"""Properties of a connector that its offsets, slot and topics hang on: Headrace sets them, from fields that stay."""

MARKS = r"^headrace\."
"""Names that only Headrace gives: by them it knows whose a connector is, and what goes with its resource."""

OF_ONE = (
    r"^(database|driver)\.(hostname|port|user|password|dbname)$|^publication\.(name|autocreate\.mode)$"
    r"|^(table|schema)\.(include|exclude)\.list$|(^|\.)initial\.statements$|^heartbeat\.action\.query$"
    r"|^snapshot\.select\.statement\.overrides|(bootstrap\.servers|endpoint\.url)$"
)
"""Names of what one connector has for itself: where its database is, its login, what it captures, its publication.

So is SQL that runs with its login, and where else that goes: who writes these must be who may name its Secrets.
"""

KAFKA = (
    r"^((producer|consumer|admin)\.(override\.)?)?(bootstrap\.servers|security\.protocol|sasl\..*)$"
    r"|^(producer|consumer|admin)\.override\.ssl\.|^config\.providers"
)
"""Names by which Kafka Connect's own clients find Kafka, verify it and log in, and by which it reads Secrets.

The login of the KafkaConnection must go to no other address. Debezium's own clients, such as ``signal.kafka.…``, have
prefixes of their own and are never given that login.
"""

WORKERS = KAFKA + (r"|^(admin\.)?listeners|^rest\.|^group\.id$|^(config|offset|status)\.storage\.topic$|^plugin\.path$")
"""`KAFKA`, and the names that the workers' offsets and the operator's access to them hang on."""

CODE = (
    r"(?i)^(database|driver)\.(socketfactory(arg)?|sslfactory(arg)?|sslhostnameverifier|sslpasswordcallback"
    r"|authenticationpluginclassname|xmlfactoryfactory|loggerfile|jaasapplicationname|jaaslogin|service"
    r"|pg(host|port|dbname))$"
    r"|^signal\.file$|^transforms\..*language$|(^|\.)(security\.providers|ssl\.engine\.factory\.class)$"
)
"""Names by which the driver or a plug-in loads a class of any kind, opens a file, or runs a script that a spec brings.

What runs in workers is what their image has. The driver would also take another host, Debezium's file of signals is
quoted in the log, and its scripts can do whatever the workers can.
"""

QUOTED = r"[\x00-\x1f\x22\x27;\x5c\x7f]"
"""What a publication's name may not have: Debezium writes it into SQL as it is."""

ODD = r"^$|[^A-Za-z0-9._-]"
"""Names that are no plain property name: in a file of properties they may mean another one."""

CONTROL = r"[\x00-\x1f\x7f]"
"""Values that are more than one line: in a file of properties they may set others. Python and CEL read all alike."""

SECRET = r"(?i)password|passphrase|secret|jaas\.config|ssl\.key\.pem|ssl\.keystore\.key|user\.info"
"""Names of properties that hold a secret, as a pattern that Python and CEL (RE2) read alike."""

REFERENCE = r"\$\{[^}]*:[^}]*\}"
"""What Kafka Connect's config providers replace in a value; the router's own ``${routedByValue}`` has no colon."""

_REFERENCE = re.compile(REFERENCE)
"""The same, made ready: it is looked for in every value of a configuration, in every pass."""

WHOLE = r"^\$\{secrets:([a-z0-9.-]+)/([a-z0-9][a-z0-9.-]*):\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*\}$"
"""A value that is one key of one Secret, with its namespace: what the workers' own config provider reads.

Neither is one or two dots alone: where Secrets are files they would be another folder.
"""

LOGIN = r"://[^/?#\s]*@"
"""An address with a user, and perhaps a password, before its host, somewhere in a value."""

LOGIN_OF_URL = r"://[^/?#]*@"
"""The same in a value that is an address alone: with blanks in it, too, and line breaks, which clients leave out."""

IMAGE = r"^[^@]*(@[a-z0-9+._-]+:[0-9a-fA-F]{32,})?$"
"""An image, perhaps with its digest: what else an ``@`` in it ends is a login."""

_TLS = ("ssl.key.password", "ssl.keystore.password", "ssl.truststore.password")

CONNECTOR_SECRETS = (
    "database.password",
    "database.sslpassword",
    "database.user",
    *(f"signal.consumer.{name}" for name in ("sasl.jaas.config", *_TLS)),
)
"""Properties of a connector that may name a Secret: its plug-in takes them for passwords, and quotes them nowhere.

What a property of another name stands for is up to a class, of a transform or a converter, which may quote it.
"""

WORKER_SECRETS = tuple(f"{client}{name}" for client in ("", "producer.", "consumer.", "admin.") for name in _TLS)
"""Properties of workers that may name a Secret: Kafka's clients take them for passwords."""


def tuning(properties: Mapping[str, str] | None) -> dict[str, str]:
    """Return those of ``properties`` that only tune a client."""
    return {name: value for name, value in (properties or {}).items() if name in TUNING}


def foreign(properties: Mapping[str, str] | None) -> str | None:
    """Return the first name that is not one of `TUNING`."""
    return next((name for name in properties or {} if name not in TUNING), None)


def identity(properties: Mapping[str, str] | None) -> str | None:
    """Return the first name that is one of `IDENTITY`, or a mark."""
    return next((name for name in properties or {} if name in IDENTITY or re.search(MARKS, name)), None)


def named(properties: Mapping[str, str] | None, pattern: str) -> str | None:
    """Return the first name that ``pattern`` is found in."""
    return next((name for name in properties or {} if re.search(pattern, name)), None)


def broken(properties: Mapping[str, str] | None) -> str | None:
    """Return the name of the first value that is more than one line."""
    return next((name for name, value in (properties or {}).items() if re.search(CONTROL, value)), None)


def in_plain_text(properties: Mapping[str, str] | None) -> str | None:
    """Return the first name that holds a secret whose value names none, or whose value is an address with a login."""
    return next((name for name, value in (properties or {}).items() if _is_plain_secret(name, value)), None)


def _is_plain_secret(name: str, value: str) -> bool:
    plain = re.search(SECRET, name) is not None and re.search(REFERENCE, value) is None
    return plain or re.search(LOGIN, value) is not None


def stray(properties: Mapping[str, str] | None, allowed: Collection[str], namespace: str) -> str | None:
    """Return the first name whose value names a Secret and may not, or names more than a Secret of ``namespace``."""
    referring = ((name, value) for name, value in (properties or {}).items() if _REFERENCE.search(value))
    return next((name for name, value in referring if name not in allowed or not _is_here(value, namespace)), None)


def referred(properties: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names of the Secrets whose keys stand as values."""
    found = (re.fullmatch(WHOLE, value) for value in (properties or {}).values() if isinstance(value, str))
    return tuple(dict.fromkeys(one[2] for one in found if one))


def _is_here(value: str, namespace: str) -> bool:
    found = re.fullmatch(WHOLE, value)
    return found is not None and found[1] == namespace
