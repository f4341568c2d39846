"""KafkaConnection: where a Kafka is and how to log in; the one place for its credentials."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from headrace_operator.api.schema import Credentials, Model, SecretKey, Status


class Tls(Model):
    """Encrypt the connection and verify the brokers."""

    ca: SecretKey | None = Field(
        None, description="Secret key with the authority's PEM certificates. Default: the image's."
    )


class Sasl(Model):
    """Log in with a user name and a password."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        description="The SASL mechanism of the brokers."
    )
    credentials: Credentials = Field(description="The Secret that holds user name and password.")


class KafkaConnectionSpec(Model):
    """What a user writes."""

    kind: ClassVar[str] = "KafkaConnection"

    bootstrap_servers: str = Field(
        min_length=1, max_length=1000, description="Brokers to start from, as host:port, separated by commas."
    )
    tls: Tls | None = Field(None, description="Encrypt the connection. Default: plain text.")
    sasl: Sasl | None = Field(None, description="Log in with a user name and a password. Default: no login.")
    properties: dict[str, str] | None = Field(
        None, description="Extra client properties of librdkafka, without passwords. They win over those Headrace sets."
    )


class KafkaConnectionStatus(Status):
    """What Headrace observed."""

    cluster_id: str | None = Field(None, description="Identifier that the Kafka cluster gives itself.")
    brokers: int | None = Field(None, description="Number of brokers that are up.")
    features: tuple[str, ...] | None = Field(None, description="Features found, such as ConsumerGroupProtocol.")
