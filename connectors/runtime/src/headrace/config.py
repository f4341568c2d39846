"""The contract between operator and runtime: the operator writes it into a ConfigMap, the runtime and the CLI read it.

It must not know either side: no I/O beyond parsing the text it is given, no Kubernetes, no Kafka client.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PATH = "/etc/headrace/config/config.json"
"""Where a consumer pod finds this document; the environment variable ``HEADRACE_CONFIG`` names another place."""

CREDENTIALS = "/etc/headrace/kafka"
"""Where a consumer pod finds the mounted Kafka credentials."""

REDIS_CREDENTIALS = "/etc/headrace/redis"
"""Where a consumer pod finds the mounted credentials of the Redis that remembers handled messages."""

PORT = 8080
"""The port of a consumer pod that answers ``/healthz``, ``/readyz`` and ``/metrics``."""


LONGEST = 86_400.0
"""Seconds of the longest time-out and back-off; the shortest are longer than nothing."""

Seconds = Annotated[float, Field(gt=0, le=LONGEST)]


class Document(BaseModel):
    """A part of the contract: frozen, and strict about unknown keys so that a version skew is seen at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OAuth(Document):
    """Where a client gets its tokens; without ``ca_file`` the provider is known by the system's authorities."""

    token_endpoint: str
    scope: str | None = None
    ca_file: str | None = None


class Sasl(Document):
    """How to log in; user name and password, with ``oauth`` a client's id and secret, are files, never values."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    username_file: str
    password_file: str
    oauth: OAuth | None = None

    @model_validator(mode="after")
    def _tokens_with_their_mechanism(self) -> Self:
        if (self.mechanism == "OAUTHBEARER") != (self.oauth is not None):
            raise ValueError("mechanism OAUTHBEARER and oauth go together")
        return self


class Tls(Document):
    """How to verify a server, its name included; without ``ca_file`` the system's authorities are used.

    A client certificate, if any, is ``certificate_file`` with ``key_file``.
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        return self


class Kafka(Document):
    """Where Kafka is; ``properties`` are librdkafka properties that tune the clients and win over their own tuning."""

    bootstrap_servers: str
    sasl: Sasl | None = None
    tls: Tls | None = None
    properties: dict[str, str] = Field(default_factory=dict)


class Topics(Document):
    """The topics of one consumer; retry has the partition count of the largest source."""

    sources: tuple[str, ...]
    retry: str
    dead_letters: str
    resolutions: str


class Http(Document):
    """Push each record to ``url``; ``timeout`` in seconds for one attempt."""

    url: str
    timeout: Seconds = 30.0


Isolation = Literal["Thread", "Process"]
"""Where a Python function runs: in the consumer's process, or in worker processes."""


class Python(Document):
    """Call ``module:function``; ``path`` is a directory put on ``sys.path`` first (code from a ConfigMap).

    ``memory`` is what one worker process may take, in bytes; None is no limit.
    """

    function: str
    path: str | None = None
    timeout: Seconds = 30.0
    isolation: Isolation = "Thread"
    memory: int | None = Field(None, gt=0)


class Handler(Document):
    """The user's code: exactly one of ``http`` and ``python``."""

    http: Http | None = None
    python: Python | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.http is None) == (self.python is None):
            raise ValueError("a handler is exactly one of http and python")
        return self

    @property
    def timeout(self) -> float:
        """Seconds for one attempt."""
        one = self.http or self.python
        assert one is not None
        return one.timeout


class Retry(Document):
    """Exponential back-off with full jitter: ``min(max, initial * factor ** n)``, in seconds; ``attempts`` in all.

    ``max_age`` in seconds since the first attempt failed, beyond which no other is made. ``max_crash_attempts``: how
    often a record may end its process; the first time it may be blamed for others, so it is more than one.
    ``max_in_memory``: the longest wait, in seconds, for which a key stays in memory; for a longer one it is parked.
    """

    attempts: int = Field(8, ge=1)
    initial: Seconds = 1.0
    factor: float = Field(2.0, ge=1, allow_inf_nan=False)
    max: Seconds = 600.0
    max_age: Seconds | None = None
    max_crash_attempts: int = Field(3, ge=2)
    max_in_memory: Seconds = 30.0


class Rate(Document):
    """The most records that begin in a second in one replica."""

    per_second: float = Field(gt=0, allow_inf_nan=False)


Order = Literal["Key", "Partition", "None"]
"""Whose records are handled one after another: those of a key, those of a partition, or nobody's."""


OnOffsetLost = Literal["Stop", "Earliest", "Latest"]
"""What becomes of a partition whose offset no longer exists: it stands, or goes on at the log's beginning or end."""


class Compensate(Document):
    """Where the command goes that makes good for a dead letter: exactly one of a ``topic`` and ``http``."""

    topic: str | None = None
    http: Http | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.topic is None) == (self.http is None):
            raise ValueError("a command goes to exactly one of topic and http")
        return self


class OnDeadLetter(Document):
    """What becomes of later records once a dead letter is written.

    They run, or those of its key follow it (ParkKey), or its partition stands (Stop). And where a command goes that
    makes good for it.
    """

    action: Literal["Skip", "ParkKey", "Stop"] = "Skip"
    compensate: Compensate | None = None


class Memory(Document):
    """Remember handled messages in the pod, so many at most."""

    messages: int = Field(100_000, ge=1)


class Redis(Document):
    """Remember handled messages in a Redis; the login is in files, of which ``username_file`` may be missing."""

    url: str
    username_file: str | None = None
    password_file: str | None = None
    ca_file: str | None = None


class Deduplication(Document):
    """Handle a message once within ``window`` seconds: exactly one of ``memory`` and ``redis`` remembers it."""

    window: float = Field(604_800.0, gt=0, allow_inf_nan=False)
    memory: Memory | None = None
    redis: Redis | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.memory is None) == (self.redis is None):
            raise ValueError("messages are remembered by exactly one of memory and redis")
        return self


class Delivery(Document):
    """How records are handed to the handler; ``concurrency`` is the number in flight in one replica.

    ``message_id_header`` names the header that has a record's message id, before those that are looked for anyway.
    """

    order: Order = "Key"
    concurrency: int = Field(8, ge=1)
    rate: Rate | None = None
    retry: Retry = Retry()
    on_offset_lost: OnOffsetLost = "Stop"
    on_dead_letter: OnDeadLetter = OnDeadLetter()
    deduplication: Deduplication | None = None
    message_id_header: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _parks_keys_in_order(self) -> Self:
        if self.on_dead_letter.action == "ParkKey" and self.order != "Key":
            raise ValueError("with onDeadLetter.action: ParkKey, order is Key")
        return self


GroupProtocol = Literal["classic", "consumer"]
"""How members of a consumer group share partitions: the classic way, or that of KIP-848; the names are Kafka's own."""


class Config(Document):
    """Everything a consumer pod needs to know; ``stop`` is how many seconds what runs has to finish at its end.

    ``mark`` is what each commit says of whose the group is, as in `headrace.progress`.
    """

    namespace: str
    consumer: str
    pipeline: str
    group: str
    mark: str = ""
    group_protocol: GroupProtocol = "classic"
    kafka: Kafka
    topics: Topics
    handler: Handler
    delivery: Delivery = Delivery()
    stop: Seconds = 30.0


def load(text: str) -> Config:
    """Read the contract from JSON ``text``; raises ``pydantic.ValidationError`` naming the field."""
    return Config.model_validate_json(text)


def dump(config: Config) -> str:
    """Write ``config`` as stable JSON: equal contracts give equal text."""
    return config.model_dump_json(indent=2)
