"""OutboxRelay: the polling publisher, which writes the rows of an outbox table to Kafka where no CDC is possible."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints

from headrace_operator.api.connector import RESERVED
from headrace_operator.api.durations import Duration, Window
from headrace_operator.api.schema import Credentials, Key, Model, Name, ObjectName, SecretKey, Status
from headrace_operator.api.template import Template
from headrace_operator.api.words import OneOf, Refused, unless

NO_TABLE = Refused(
    pattern=r'["`%\x00-\x1f\x7f]|[.].*[.]|^[.]|[.]$|^[^.]{49,}$|^[^.]{64}|[.][^.]{49}',
    message="a table is TABLE or SCHEMA.TABLE, as the database has it, without quotes and %, and its name has at most "
    "48 characters, as the relay's own table is named after it",
)
OUR_TOPICS = Refused(
    pattern=RESERVED,
    message="topics that begin with retry, dlq or connect may be those that Headrace makes for Consumers and workers: "
    "choose another prefix",
)
Column = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r'^[^"`%\x00-\x1f\x7f]+$')]
"""The name of a column, in the database's own letters."""

TopicPrefix = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{0,150}$"), AfterValidator(unless(OUR_TOPICS))]
"""What stands before a route; it may be empty."""

DatabaseName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The name of a database."""


class ClientCertificate(Model):
    """Log in with a client certificate, which the database verifies."""

    secret: ObjectName = Field(
        description="Name of the Secret in the same namespace, as Kubernetes keeps certificates (kubernetes.io/tls)."
    )
    certificate_key: Key | None = Field(
        None, description="Key that holds the certificate, and those between it and its authority. Default: tls.crt."
    )
    private_key_key: Key | None = Field(None, description="Key that holds the private key as PEM. Default: tls.key.")

    @property
    def keys(self) -> tuple[str, str]:
        """The keys of the Secret with certificate and private key."""
        return self.certificate_key or "tls.crt", self.private_key_key or "tls.key"


class DatabaseTls(Model):
    """Encrypt the connection and verify the database, its name included."""

    ca: SecretKey | None = Field(
        None, description="Secret key with the authority's PEM certificates. Default: the image's."
    )
    certificate: ClientCertificate | None = Field(
        None, description="Show the database a client certificate. Default: none."
    )


class Database(Model):
    """Where the outbox table is."""

    host: str = Field(min_length=1, max_length=253, description="Host name or address of the database, one alone.")
    port: int | None = Field(
        None, ge=1, le=65535, description="Port of the database. Default: 5432, of MySQL and MariaDB 3306."
    )
    database: DatabaseName = Field(description="Name of the database.")
    credentials: Credentials = Field(
        description="The Secret that holds user name and password; the user reads and marks rows, and needs no other "
        "right than docs/outbox-relay.md lists."
    )
    tls: DatabaseTls | None = Field(None, description="Encrypt the connection. Default: as the driver has it.")


class OutboxColumns(Model):
    """What the table's columns are called; a name is found whatever its case."""

    id: Column | None = Field(None, description="Column that grows with each row. Default: id.")
    message_id: Column | None = Field(None, description="Column of the message's id. Default: messageId.")
    message_type: Column | None = Field(None, description="Column of what happened. Default: messageType.")
    payload: Column | None = Field(None, description="Column of the payload. Default: payload.")
    status: Column | None = Field(None, description="Column that says PENDING, PROCESSED or FAILED. Default: status.")
    fail_count: Column | None = Field(None, description="Column that counts refusals by Kafka. Default: failCount.")
    occurred_at: Column | None = Field(None, description="Column of when it happened. Default: occurredAt.")
    processed_at: Column | None = Field(None, description="Column of when it was published. Default: processedAt.")
    key: Column | None = Field(
        None, description="Column of what is in order, the record's key. Default: messageKey, where there is one."
    )
    topic: Column | None = Field(None, description="Column of the route. Default: topic, where there is one.")
    traceparent: Column | None = Field(
        None, description="Column of the W3C trace parent. Default: traceparent, where there is one."
    )
    last_error: Column | None = Field(
        None, description="Column for what Kafka said last. Default: lastError, where there is one."
    )


class RelayBackoff(Model):
    """Waits between attempts at a row that Kafka refuses: they double."""

    initial: Duration | None = Field(None, description="First wait, 1ms to 24h. Default: 1s.")
    max: Duration | None = Field(None, description="Longest wait, 1ms to 24h. Default: 5m.")


class RelayRetry(Model):
    """How often and when a row that Kafka refuses is tried again."""

    attempts: int | None = Field(
        None, ge=1, le=1000, description="Attempts in all before a row is FAILED. Default: 10."
    )
    backoff: RelayBackoff | None = Field(None, description="Waits between attempts.")


class OutboxRelaySpec(OneOf):
    """What a user writes."""

    kind: ClassVar[str] = "OutboxRelay"
    choices: ClassVar[tuple[str, ...]] = ("postgres", "mysql", "mariadb")
    asked: ClassVar[str] = "the outbox is in"

    kafka: Name = Field(description="Name of the KafkaConnection that rows are written to.")
    postgres: Database | None = Field(None, description="The PostgreSQL database that has the outbox.")
    mysql: Database | None = Field(None, description="The MySQL database that has the outbox.")
    mariadb: Database | None = Field(None, description="The MariaDB database that has the outbox.")
    table: Annotated[str, AfterValidator(NO_TABLE)] = Field(
        min_length=1,
        max_length=112,
        description="The outbox table, as TABLE or SCHEMA.TABLE; headrace outbox ddl prints what makes it.",
    )
    columns: OutboxColumns | None = Field(None, description="What the table's columns are called.")
    topic_prefix: TopicPrefix | None = Field(
        None,
        description="What stands before the route in the name of a topic; with an empty one the route is the topic. "
        "Default: <namespace>.<name>.outbox. with its last dot, as a Connector of this name has it.",
    )
    batch: int | None = Field(None, ge=1, le=10_000, description="Most rows that are read at once. Default: 500.")
    interval: Duration | None = Field(
        None, description="Wait between looks that find nothing, 1ms to 24h. Default: 1s."
    )
    retry: RelayRetry | None = Field(None, description="How often and when a row that Kafka refuses is tried again.")
    retention: Window | None = Field(
        None,
        description="How long processed rows stay in the table, as 90m, 36h or 7d; then they are deleted. "
        "Default: they are never deleted.",
    )
    replicas: int | None = Field(
        None, ge=1, le=64, description="Pods that share the rows, those of a key by one of them. Default: 1."
    )
    template: Template | None = Field(
        None, description="What the pods are given: environment, volumes, compute, placement, and more."
    )

    @property
    def database(self) -> Database:
        """The database that has the outbox."""
        found = self.postgres or self.mysql or self.mariadb
        assert found is not None, "a spec names exactly one"
        return found

    @property
    def database_field(self) -> str:
        """The field that names it."""
        return next(name for name in self.choices if getattr(self, name) is not None)


class OutboxRelayStatus(Status):
    """What Headrace observed."""

    pipeline: str | None = Field(None, description="Pipeline that metrics and dashboards count it to.")
    topic_prefix: str | None = Field(None, description="What the topics in force begin with, before the route.")
    replicas: int | None = Field(None, description="Pods that are wanted.")
    ready_replicas: int | None = Field(None, description="Pods that are ready.")
    replicas_ready: str | None = Field(None, description="Ready pods of wanted pods, such as 2/2.")
    backlog: int | None = Field(None, description="Pending rows of the table, a million at most.")
    oldest_pending_seconds: int | None = Field(
        None, description="Age of the first pending row in seconds, by the database's clock; 0 without one."
    )
    failed_rows: int | None = Field(None, description="Rows of the table that were given up, as status FAILED says.")
