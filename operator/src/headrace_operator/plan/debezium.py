"""The configuration of a Debezium connector: what is set for the user, and what the user may set."""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace import names as kafka_names
from headrace_operator.api import addresses as written
from headrace_operator.api import properties as raw
from headrace_operator.api.connector import RESERVED, ConnectorSpec, Outbox, OutboxColumns
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import acceptance, names, outbox_rows
from headrace_operator.plan.conditions import Finding, false
from headrace_operator.plan.reasons import Reason

CLASS = "io.debezium.connector.postgresql.PostgresConnector"
PLAIN = "dev.headrace.connect.debezium.PlainConverter"
SESSION = "-c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1"
"""How Debezium reads values, whatever the database or role has set for its sessions."""

VALUES = {
    "converters": "readable",
    "readable.type": "dev.headrace.connect.debezium.ReadableConverter",
    "include.unknown.datatypes": "true",
    "decimal.handling.mode": "string",
}
"""How values are written, so that people can read them."""

SKIPPED = "t"
"""Operations that Debezium leaves out unless told otherwise, by their letters: truncations."""

MODES = frozenset(
    {
        "decimal.handling.mode",
        "interval.handling.mode",
        "time.precision.mode",
        "transforms.outbox.table.field.event.timestamp",
    }
)
"""Where the user sets one of these, Debezium's own converters write the values: ours would come before them."""

BOUNDS = {
    "snapshot.fetch.size": "200",
    "max.queue.size.in.bytes": str(32 * 1024 * 1024),
}
"""What a connector holds of its database at a time. Debezium's own bounds are rows (10,240 and 8,192) of any width."""

SNAPSHOT = 200 * 1024 * 1024
"""Bytes of a snapshot that are held at a time where rows are as large as they may be."""

BUFFER = 32 * 1024 * 1024
"""Bytes that Kafka's producer holds unless told otherwise."""

JSON = "org.apache.kafka.connect.json.JsonConverter"
ELSEWHERE = ("bootstrap.servers", "endpoint.url")
"""How names of properties end that say where else a plug-in logs in."""

OURS = "headrace"
"""Prefix of the logical messages that heartbeats write, which no connector of ours makes records of."""
AUTOCREATE = "publication.autocreate.mode"
BEAT = f"SELECT pg_logical_emit_message(true, '{OURS}', 'heartbeat')"


def prefix(resource: Resource, spec: ConnectorSpec) -> str:
    """Return the prefix of the connector's topics."""
    return (spec.topics and spec.topics.prefix) or names.connector(resource.place, resource.name)


def topic(prefix: str, *, route: str | None = None, table: str | None = None) -> str:
    """Return the topic of an outbox route or of a table, as the connector names it.

    What Kafka forbids in names becomes an underscore. A long table is cut, a long route gets a hash, too.
    """
    if route is None:
        return kafka_names.topic_safe(f"{prefix}.{table}")[: kafka_names.LONGEST_TOPIC]
    return kafka_names.outbox_topic(f"{prefix}.outbox.", route)


def configuration(resource: Resource, spec: ConnectorSpec, *, has_agent: bool = False) -> dict[str, str]:
    """Return the whole configuration; the user's own properties win, but for the identity's, which are refused.

    Where the workers' ``has_agent``, that makes and alters our publications, and Debezium does not.
    """
    capture = _outbox(resource, spec, spec.capture.outbox) if spec.capture.outbox else _tables(spec)
    return {
        **_source(resource, spec),
        **_failures(),
        **_publication(resource, spec, "disabled" if has_agent else "filtered"),
        **_heartbeat(spec),
        **_topics(spec),
        **_values(spec),
        **capture,
        **(spec.config or {}),
    }


def addresses(resource: Resource, spec: ConnectorSpec) -> tuple[str, ...]:
    """Return where the plug-in sends what it is given of Secrets, for a spec."""
    return sent_to(configuration(resource, spec))


def sent_to(made: Mapping[str, str]) -> tuple[str, ...]:
    """Return where a connector that is configured so sends them: its database, and a Kafka of signals with its login.

    The driver takes several hosts with commas between, each perhaps with a port of its own.
    """
    hosts, port = made["database.hostname"].split(","), made["database.port"]
    databases = (host if re.search(r"^[^:]*:\d+$|\]:\d+$", host) else f"{_bracketed(host)}:{port}" for host in hosts)
    others = (re.sub(r"(://[^/?#]*).*", r"\1", value) for name, value in made.items() if name.endswith(ELSEWHERE))
    return (*databases, *others)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def stray_reference(resource: Resource, spec: ConnectorSpec) -> Finding | None:
    """Say which property, made from another field, would show a Secret's value, which errors and logs quote."""
    name = raw.stray(configuration(resource, spec), raw.CONNECTOR_SECRETS, resource.namespace)
    if name is None:
        return None
    text = f"The property {name} would show the value of a Secret: remove ${{…}} from the field that it is made from."
    return false("Accepted", Reason.PASSWORD_IN_CONFIG, text)


def misread_database(spec: ConnectorSpec) -> Finding | None:
    """Say that the driver would connect to another database: the name stands in a URL, and is decoded."""
    if re.search(written.MISREAD, spec.postgres.database) is None:
        return None
    text = "spec.postgres.database: the driver reads a name with /, ?, %, + or ${ as another: rename the database."
    return false("Accepted", Reason.INVALID, text)


def misread_address(spec: ConnectorSpec) -> Finding | None:
    """Say that the driver would read more than hosts out of its address, which is a part of a URL, or of SQL."""
    made = {"database.hostname": spec.postgres.host, **(spec.config or {})}
    if odd := acceptance.address("postgres.host", spec.postgres.host, written.DATABASE):
        return odd
    wrong = (
        not re.search(written.DATABASE.pattern, made["database.hostname"]) and "database.hostname",
        not re.search(written.PORT, made.get("database.port", "1")) and "database.port",
        re.search(raw.QUOTED, made.get("publication.name", "")) and "publication.name",
    )
    if (name := next((one for one in wrong if one), None)) is None:
        return None
    text = f"spec.config.{name} would be read as something else by the driver: hosts, a number, a name without quotes."
    return false("Accepted", Reason.PROPERTY_NOT_ALLOWED, text)


def shared_topic(resource: Resource, spec: ConnectorSpec) -> Finding | None:
    """Say which two tables would be written to one topic, as they differ only in what topics cannot be called."""
    found: dict[str, str] = {}
    for table in spec.capture.tables or ():
        name = topic(prefix(resource, spec), table=table)
        if (other := found.setdefault(name, table)) != table:
            text = f"spec.capture.tables: {other} and {table} would both be written to the topic {name}"
            return false("Accepted", Reason.INVALID, f"{text}: capture one of them with another Connector.")
    return None


def reserved_topics(resource: Resource, spec: ConnectorSpec) -> Finding | None:
    """Say that topics would begin as those of Consumers and workers do, and might be the very ones."""
    begin = prefix(resource, spec)
    if resource.status.get("accepted") or re.match(RESERVED, begin) is None:
        return None
    text = (
        f"spec.topics.prefix: topics that begin with {begin} may be those that Headrace makes for Consumers and "
        "workers (retry, dlq, connect): choose another prefix."
    )
    return false("Accepted", Reason.INVALID, text)


def _source(resource: Resource, spec: ConnectorSpec) -> dict[str, str]:
    postgres, credentials = spec.postgres, spec.postgres.credentials
    user, password = (f"${{secrets:{resource.namespace}/{credentials.secret}:{key}}}" for key in credentials.keys)
    slot = names.slot(resource.place, resource.name)
    return {
        "name": names.connector(resource.place, resource.name),
        "connector.class": CLASS,
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "database.hostname": postgres.host,
        "database.port": str(postgres.port or 5432),
        "database.dbname": postgres.database,
        "driver.options": SESSION,
        "database.user": user,
        "database.password": password,
        "slot.name": postgres.slot or slot,
        "topic.prefix": prefix(resource, spec),
        "snapshot.mode": "when_needed" if postgres.resnapshots else "initial",
        **BOUNDS,
        "connection.validation.timeout.ms": "10000",
    }


def _failures() -> dict[str, str]:
    """Let a failure end the task within seconds: it is told then, and the operator's restart reads the Secret anew."""
    return {"errors.max.retries": "0", "slot.max.retries": "2", "slot.retry.delay.ms": "5000"}


def own_publication(spec: ConnectorSpec) -> str | None:
    """Return the publication that the user named, which is the user's own; None when Debezium makes one for us."""
    return (spec.config or {}).get("publication.name") or spec.postgres.publication


def _publication(resource: Resource, spec: ConnectorSpec, mode: str) -> dict[str, str]:
    if named := own_publication(spec):
        return {"publication.name": named, AUTOCREATE: "disabled"}
    return {
        "publication.name": names.slot(resource.place, resource.name),
        AUTOCREATE: mode,
        "publish.via.partition.root": "true",
    }


def beats(made: Mapping[str, str]) -> bool:
    """Tell whether a configuration commits where it is also while no captured table changes."""
    return made.get("heartbeat.interval.ms") != "0"


def _heartbeat(spec: ConnectorSpec) -> dict[str, str]:
    """Write a logical message of our own with each heartbeat: it moves the slot while the captured tables rest.

    Where the statement fails (on a standby) Debezium only logs it. Of prefixes that are included there is no need to
    exclude ours, and Debezium refuses both together.
    """
    beat = {"heartbeat.interval.ms": "10000", "heartbeat.action.query": BEAT}
    return (
        beat if "message.prefix.include.list" in (spec.config or {}) else {**beat, "message.prefix.exclude.list": OURS}
    )


def _topics(spec: ConnectorSpec) -> dict[str, str]:
    partitions = (spec.topics and spec.topics.partitions) or 12
    replication = (spec.topics and spec.topics.replication_factor) or -1
    return {
        "topic.creation.default.partitions": str(partitions),
        "topic.creation.default.replication.factor": str(replication),
        **_sizes(spec),
    }


def _sizes(spec: ConnectorSpec) -> dict[str, str]:
    """Let a record be as large as the spec says, on its way from the database to each topic that is made."""
    largest = spec.topics.max_record_bytes if spec.topics else None
    if largest is None:
        return {}
    groups = ("default", *listed(spec.config or {}, "topic.creation.groups"))
    sizes = {f"topic.creation.{group}.max.message.bytes": str(largest) for group in groups}
    rows = min(int(BOUNDS["snapshot.fetch.size"]), SNAPSHOT // largest)
    return {
        **sizes,
        "producer.override.max.request.size": str(largest),
        "producer.override.buffer.memory": str(max(BUFFER, 2 * largest)),
        "snapshot.fetch.size": str(rows),
    }


def _values(spec: ConnectorSpec) -> dict[str, str]:
    return {} if MODES & (spec.config or {}).keys() else VALUES


def _tables(spec: ConnectorSpec) -> dict[str, str]:
    return {
        "table.include.list": ",".join(map(literal, spec.capture.tables or ())),
        "key.converter": JSON,
        "key.converter.schemas.enable": "false",
        "value.converter": JSON,
        "value.converter.schemas.enable": "false",
        "value.converter.replace.null.with.default": "false",
    }


def literal(table: str) -> str:
    """Return the regular expression, as Debezium reads them, of exactly this table."""
    return re.sub(r"[\\^$.|?*+()\[\]{}]", r"\\\g<0>", table)


def _outbox(resource: Resource, spec: ConnectorSpec, outbox: Outbox) -> dict[str, str]:
    columns = outbox.columns or OutboxColumns.model_validate({})
    router = "transforms.outbox"
    return {
        "table.include.list": literal(outbox.table),
        "tombstones.on.delete": "false",
        "skipped.operations": "u,d,t",
        "key.converter": PLAIN,
        "value.converter": PLAIN,
        "transforms": "outbox",
        f"{router}.type": "dev.headrace.connect.debezium.OutboxRouter",
        f"{router}.route.by.field": columns.route or "aggregatetype",
        f"{router}.route.topic.replacement": f"{prefix(resource, spec)}.outbox.${{routedByValue}}",
        f"{router}.table.field.event.id": columns.id or "id",
        f"{router}.table.field.event.key": columns.key or "aggregateid",
        f"{router}.table.field.event.payload": columns.payload or "payload",
        f"{router}.table.fields.additional.placement": _headers(columns),
        f"{router}.table.field.additional.missing": "ignore",
        f"{router}.table.op.invalid.behavior": "warn",
        **outbox_rows.passed_by(outbox_rows.skipped(resource)),
    }


def _headers(columns: OutboxColumns) -> str:
    """Return the columns that become headers; the router leaves out those that the table does not have."""
    trace = (f"{columns.traceparent}:header:traceparent",) if columns.traceparent else ()
    return ",".join((f"{columns.type or 'type'}:header:eventType", *trace))


def listed(properties: Mapping[str, str], name: str) -> list[str]:
    """Return what a property lists, as Kafka reads it: with commas between, and blanks around them."""
    text = properties.get(name, "").strip()
    return re.split(r"\s*,\s*", text) if text else []
