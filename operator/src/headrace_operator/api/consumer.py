"""Consumer: the user's code that handles records, as a scaled Deployment."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from headrace_operator.api.durations import Duration, Window
from headrace_operator.api.schema import Credentials, Model, Name, ObjectName, Rule, SecretKey, Status, Topic
from headrace_operator.api.tables import Route, Table
from headrace_operator.api.template import ConsumerTemplate
from headrace_operator.api.words import OneOf

PARKS_KEYS = "with onDeadLetter.action: ParkKey, order is Key"
MIN_ABOVE_MAX = "min must not be greater than max"
ONE_CODE = "the code comes from an image or from a source, not from both"
ONE_SOURCE = "from names exactly one of a connector and a kafka with topics"
ROUTES_OR_TABLES = "from a connector, name exactly one of routes and tables"
KAFKA_WITH_TOPICS = "kafka and topics go together"


class Source(Model):
    """What to handle: a Connector's tables or outbox routes, or topics of a Kafka."""

    connector: Name | None = Field(
        None, description="Name of the Connector whose records are handled. Fixed once pods run."
    )
    routes: tuple[Route, ...] | None = Field(
        None, min_length=1, max_length=100, description="Outbox routes of that Connector (values of aggregatetype)."
    )
    tables: tuple[Table, ...] | None = Field(
        None, min_length=1, max_length=100, description="Captured tables of that Connector, as schema.table."
    )
    kafka: Name | None = Field(
        None, description="Name of the KafkaConnection that has the topics. Fixed once pods run."
    )
    topics: tuple[Topic, ...] | None = Field(
        None, min_length=1, max_length=100, description="Topics to handle, with kafka."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="has(self.connector) != has(self.kafka)", message=ONE_SOURCE, field_path=".connector"),
        Rule(
            rule="!has(self.connector) || (has(self.routes) != has(self.tables))",
            message=ROUTES_OR_TABLES,
            field_path=".connector",
        ),
        Rule(rule="has(self.kafka) == has(self.topics)", message=KAFKA_WITH_TOPICS, field_path=".topics"),
    )

    @model_validator(mode="after")
    def _is_one_source(self) -> Self:
        if (self.connector is None) is (self.kafka is None):
            raise ValueError(ONE_SOURCE)
        if self.connector is not None and (self.routes is None) is (self.tables is None):
            raise ValueError(ROUTES_OR_TABLES)
        if (self.kafka is None) is not (self.topics is None):
            raise ValueError(KAFKA_WITH_TOPICS)
        return self


class Http(Model):
    """Push each record to a web service as a CloudEvent."""

    url: str = Field(pattern=r"^https?://", max_length=2000, description="Address that receives a POST per record.")
    timeout: Duration | None = Field(None, description="Longest time of one attempt, 1ms to 24h. Default: 30s.")


class FunctionSource(Model):
    """Where the code of a quick start is."""

    config_map: ObjectName = Field(description="ConfigMap in the same namespace whose keys are Python files.")


class Python(Model):
    """Call a Python function for each record."""

    function: str = Field(pattern=r"^[\w.]+:\w+$", description="The function, as module:name.")
    image: str | None = Field(
        None, description="Image with the code, built from the runtime image. Default: the runtime image."
    )
    source: FunctionSource | None = Field(None, description="Take the code from a ConfigMap instead of an image.")
    timeout: Duration | None = Field(None, description="Longest time of one attempt, 1ms to 24h. Default: 30s.")
    isolation: Literal["Thread", "Process"] | None = Field(
        None,
        description="Where the function runs: in the consumer's process, a plain function in a thread; or in worker "
        "processes of 256Mi, which are ended at the time-out, and whose end fails their record alone. Default: Thread.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="!(has(self.image) && has(self.source))", message=ONE_CODE, field_path=".source"),
    )

    @model_validator(mode="after")
    def _is_one_code(self) -> Self:
        if self.image is not None and self.source is not None:
            raise ValueError(ONE_CODE)
        return self


class Handler(OneOf):
    """The code that handles a record: exactly one of http and python."""

    choices: ClassVar[tuple[str, ...]] = ("http", "python")
    asked: ClassVar[str] = "a handler is"

    http: Http | None = Field(None, description="Push each record to a web service.")
    python: Python | None = Field(None, description="Call a Python function for each record.")


class Backoff(Model):
    """Exponential back-off with full jitter."""

    initial: Duration | None = Field(None, description="Longest first wait, 1ms to 24h. Default: 1s.")
    factor: int | None = Field(None, ge=1, le=10, description="Growth of the wait per attempt. Default: 2.")
    max: Duration | None = Field(None, description="Longest wait, 1ms to 24h. Default: 10m.")


class Retry(Model):
    """How often and when a failed record is tried again."""

    attempts: int | None = Field(
        None, ge=1, le=1000, description="Attempts in all before a record is dead-lettered. Default: 8."
    )
    backoff: Backoff | None = Field(None, description="Waits between attempts.")
    max_age: Duration | None = Field(
        None,
        description="Longest time from the first failed attempt to the last, 1ms to 24h; then a record is "
        "dead-lettered. Default: none.",
    )
    max_crash_attempts: int | None = Field(
        None,
        ge=2,
        le=1000,
        description="How often a record may end its process before it is dead-lettered. Default: 3.",
    )
    max_in_memory: Duration | None = Field(
        None,
        description="Longest wait for another attempt, 1ms to 24h, for which a key stays in memory; for a longer one "
        "it is parked in the retry topic. Default: 30s.",
    )


class Rate(Model):
    """How fast records are handed to the handler at most."""

    per_second: int = Field(
        ge=1,
        le=1_000_000,
        description="Most records, attempts after the first included, that begin in a second in one replica.",
    )


class Memory(Model):
    """Remember handled messages in each pod's memory, until it ends."""

    messages: int | None = Field(
        None, ge=1, le=10_000_000, description="Most messages remembered, of about 200 bytes each. Default: 100000."
    )


class Redis(Model):
    """Remember handled messages in a Redis that all pods ask."""

    url: str = Field(
        pattern=r"^rediss?://([^/?#]*@)?(\[[0-9a-fA-F:.]+\]|[^\[\]/?#@:\s]+)(:[0-9]{1,5})?(/[0-9]{1,3})?$",
        max_length=1000,
        description="Address, as redis://host:6379/0; rediss:// encrypts.",
    )
    credentials: Credentials | None = Field(
        None, description="The Secret that holds the password, and the user name where there is one. Default: no login."
    )
    ca: SecretKey | None = Field(
        None, description="Secret key with the authority's PEM certificates, for rediss:// alone. Default: the image's."
    )


class Deduplication(OneOf):
    """Pass over records whose message was handled before: exactly one of memory and redis remembers it."""

    choices: ClassVar[tuple[str, ...]] = ("memory", "redis")
    asked: ClassVar[str] = "messages are remembered by"

    window: Window | None = Field(
        None, description="How long a handled message is remembered, as 90m, 36h or 7d. Default: 7d."
    )
    memory: Memory | None = Field(None, description="Remember handled messages in each pod's memory, until it ends.")
    redis: Redis | None = Field(None, description="Remember handled messages in a Redis that all pods ask.")


class Compensate(OneOf):
    """Make good for a dead letter by a command: exactly one of topic and http receives it."""

    choices: ClassVar[tuple[str, ...]] = ("topic", "http")
    asked: ClassVar[str] = "a command goes to"

    topic: Topic | None = Field(
        None, description="Topic of the same Kafka, which exists, to which the record is sent with the reason."
    )
    http: Http | None = Field(None, description="Push the record with the reason to a web service.")


class OnDeadLetter(Model):
    """What becomes of a record that is dead-lettered, and of those after it."""

    action: Literal["Skip", "ParkKey", "Stop"] | None = Field(
        None,
        description="What becomes of later records until the dead letter is put back or discarded: they are handled "
        "(Skip), those of its key follow it and go back behind it (ParkKey), or its partition stands (Stop). "
        "Default: Skip.",
    )
    compensate: Compensate | None = Field(
        None, description="Make good for the dead letter by a command. Default: none is sent."
    )


class Delivery(Model):
    """How records are handed to the handler."""

    order: Literal["Key", "Partition", "None"] | None = Field(
        None,
        description="What order is kept: that of each key, that of each partition (one record of it at a time), or "
        "none (a record that fails holds nothing back). Default: Key.",
    )
    rate: Rate | None = Field(
        None, description="How fast records are handed to the handler at most. Default: no limit."
    )
    concurrency: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Records in flight in one replica; with handler.python.isolation Process, its worker processes. "
        "Default: 8; 2 with Process.",
    )
    retry: Retry | None = Field(None, description="How often and when a failed record is tried again.")
    on_offset_lost: Literal["Stop", "Earliest", "Latest"] | None = Field(
        None,
        description="What a partition does whose committed offset no longer exists: Stop, or go on at the Earliest or "
        "behind the Latest record there is. Default: Stop.",
    )
    on_dead_letter: OnDeadLetter | None = Field(
        None, description="What becomes of a record that is dead-lettered, and of those after it."
    )
    deduplication: Deduplication | None = Field(
        None, description="Pass over records whose message was handled before. Default: none."
    )
    message_id_header: str | None = Field(
        None,
        pattern=r"^[!-~]{1,200}$",
        description="The header whose value names a message, wherever it comes again; records without it are named "
        "as ever. Default: ce_id, then id.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.onDeadLetter) || !has(self.onDeadLetter.action) "
            "|| self.onDeadLetter.action != 'ParkKey' || !has(self.order) || self.order == 'Key'",
            message=PARKS_KEYS,
            field_path=".order",
        ),
    )

    @model_validator(mode="after")
    def _parks_keys(self) -> Self:
        parks = self.on_dead_letter is not None and self.on_dead_letter.action == "ParkKey"
        if parks and self.order not in (None, "Key"):
            raise ValueError(PARKS_KEYS)
        return self


class Scale(Model):
    """How many replicas run."""

    min: int | None = Field(None, ge=1, le=1000, description="Fewest replicas. Default: 1.")
    max: int | None = Field(
        None, ge=1, le=1000, description="Most replicas. Default: 10; no more than partitions, unless min is greater."
    )
    target_lag_seconds: int | None = Field(
        None, ge=1, le=86400, description="Longest time in seconds that a record should wait. Default: 60."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="!has(self.min) || !has(self.max) || self.min <= self.max", message=MIN_ABOVE_MAX, field_path=".min"),
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(MIN_ABOVE_MAX)
        return self


class ConsumerSpec(Model):
    """What a user writes."""

    kind: ClassVar[str] = "Consumer"

    source: Source = Field(
        alias="from", description="What to handle: connector with routes or tables, or kafka with topics."
    )
    handler: Handler = Field(description="The code that handles a record: exactly one of http and python.")
    delivery: Delivery | None = Field(None, description="How records are handed to the handler.")
    scale: Scale | None = Field(None, description="How many replicas run.")
    state: Literal["Running", "Paused"] | None = Field(
        None, description="What the Consumer should do: Running, or Paused, with no pod. Default: Running."
    )
    template: ConsumerTemplate | None = Field(
        None, description="What the pods are given: environment, volumes, compute, placement, and more."
    )


class PartitionLag(Model):
    """What one partition still has to be handled."""

    topic: str = Field(description="Name of the topic.")
    partition: int = Field(description="Number of the partition.")
    records: int = Field(description="Records not handled yet.")
    seconds: int | None = Field(None, description="Seconds that the oldest one waits, or longer.")


class Lag(Model):
    """What has still to be handled, together and apart."""

    records: int | None = Field(None, description="Records not handled yet, in source and retry topics.")
    seconds: int | None = Field(None, description="Seconds that the oldest record not handled waits, or longer.")
    source_records: int | None = Field(None, description="Records not handled yet in source topics.")
    retry_records: int | None = Field(None, description="Records not handled yet in the retry topic.")
    partitions: tuple[PartitionLag, ...] | None = Field(
        None, description="Partitions that lag, most records first, at most 20."
    )


class DeadLetters(Model):
    """Records that could not be handled."""

    topic: str = Field(description="Name of the dead-letter topic.")
    outstanding: int | None = Field(None, description="Dead letters without a resolution.")
    total: int | None = Field(None, description="Dead letters in the topic, put back or not.")
    message: str | None = Field(None, description="Why the counts are missing or may be old.")


class ScalingDecision(Model):
    """The last scaling decision, with every term."""

    desired: int = Field(description="Replicas that were decided.")
    reason: str = Field(description="What decided, as one CamelCase word.")
    message: str = Field(description="The decision as a sentence with its figures.")
    time: datetime = Field(description="When the number of replicas was last changed.")
    previous: int | None = Field(None, description="Replicas before that change.")
    fewer_since: datetime | None = Field(
        None, description="Since when fewer replicas would do; some are taken away after a minute."
    )
    arrivals_per_second: float | None = Field(None, description="Measured arrivals per second.")
    handled_per_second: float | None = Field(None, description="Measured records handled per second.")
    capacity_per_replica: float | None = Field(None, description="Records a second that one saturated replica handles.")
    capacity_time: datetime | None = Field(None, description="When that was last measured; forgotten after a day.")


class ConsumerStatus(Status):
    """What Headrace observed."""

    pipeline: str | None = Field(
        None, description="Pipeline on dashboards: the label headrace.dev/pipeline, else the Connector's pipeline."
    )
    start_time: datetime | None = Field(
        None, description="When pods were first wanted; from then on nothing leaves the source that has records."
    )
    replicas: int | None = Field(None, description="Replicas that are wanted.")
    ready_replicas: int | None = Field(None, description="Replicas that are ready.")
    replicas_ready: str | None = Field(None, description="Ready and wanted replicas, as 1/3.")
    group: str | None = Field(None, description="Consumer group in Kafka.")
    group_protocol: str | None = Field(None, description="Protocol of that group: classic, or consumer (KIP-848).")
    topics: tuple[str, ...] | None = Field(None, description="Source topics that are read.")
    retry_topic: str | None = Field(
        None, description="Topic that redriven records, and those of parked keys, go through."
    )
    lag: Lag | None = Field(None, description="What has still to be handled.")
    dead_letters: DeadLetters | None = Field(None, description="Records that could not be handled.")
    scaling: ScalingDecision | None = Field(None, description="The last scaling decision, with every term.")
