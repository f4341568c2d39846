"""KafkaConnection: where a Kafka is and how to log in; the one place for its credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from headrace_operator.api.schema import Credentials, Key, Model, ObjectName, Rule, SecretKey, Status

Scope = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[\x21\x23-\x5b\x5d-\x7e ]+$")]
"""Words with blanks between, as RFC 6749 (3.3) has them."""


class Certificate(Model):
    """Log in with a client certificate, which the brokers verify."""

    secret: ObjectName = Field(
        description="Name of the Secret in the same namespace, as Kubernetes keeps certificates (kubernetes.io/tls)."
    )
    certificate_key: Key | None = Field(
        None,
        description="Key that holds the certificate, and those between it and its authority, as PEM. Default: tls.crt.",
    )
    private_key_key: Key | None = Field(
        None, description="Key that holds the private key as PEM, for workers as PKCS #8. Default: tls.key."
    )

    @property
    def keys(self) -> tuple[str, str]:
        """The keys of the Secret with certificate and private key."""
        return self.certificate_key or "tls.crt", self.private_key_key or "tls.key"


class Tls(Model):
    """Encrypt the connection and verify the brokers."""

    ca: SecretKey | None = Field(
        None, description="Secret key with the authority's PEM certificates. Default: the image's."
    )
    certificate: Certificate | None = Field(
        None, description="Log in with a client certificate (mutual TLS). Default: none is shown to the brokers."
    )


class OAuth(Model):
    """Where an OAuth client gets the tokens that it logs in with (client credentials, RFC 6749, 4.4)."""

    token_endpoint: str = Field(
        max_length=1000, description="Address at which the provider gives tokens, https://host/path."
    )
    scope: Scope | None = Field(None, description="Scope that is asked for. Default: the provider's own.")
    ca: SecretKey | None = Field(
        None, description="Secret key with the provider's authority, as PEM certificates. Default: the image's."
    )


class Sasl(Model):
    """Log in with a user name and a password, or with a token that an OAuth client gets by its id and secret."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="(self.mechanism == 'OAUTHBEARER') == has(self.oauth)",
            message="mechanism OAUTHBEARER and oauth go together: oauth says where the tokens come from",
            field_path=".oauth",
        ),
    )

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        description="The SASL mechanism of the brokers."
    )
    credentials: Credentials = Field(
        description="The Secret that holds user name and password; of OAUTHBEARER the id of the client and its secret."
    )
    oauth: OAuth | None = Field(None, description="Where tokens come from; with OAUTHBEARER alone.")

    @model_validator(mode="after")
    def _tokens_with_their_mechanism(self) -> Self:
        if (self.mechanism == "OAUTHBEARER") != (self.oauth is not None):
            raise ValueError("mechanism OAUTHBEARER and oauth go together")
        return self


class KafkaConnectionSpec(Model):
    """What a user writes."""

    kind: ClassVar[str] = "KafkaConnection"

    bootstrap_servers: str = Field(
        min_length=1, max_length=1000, description="Brokers to start from, as host:port, separated by commas."
    )
    tls: Tls | None = Field(None, description="Encrypt the connection. Default: plain text.")
    sasl: Sasl | None = Field(
        None, description="Log in with a user name and a password, or with a token. Default: no login."
    )
    properties: dict[str, str] | None = Field(
        None,
        description="Properties of librdkafka that tune the Kafka clients of consumers and of the operator, such as "
        "client.rack; docs/kafka-connection.md lists those allowed. They win over the tuning Headrace sets.",
    )


class Features(Model):
    """What this Kafka can do beyond what Headrace needs."""

    group_protocols: tuple[str, ...] | None = Field(
        None, description="Protocols of consumer groups that the brokers allow, such as classic and consumer (KIP-848)."
    )


class KafkaConnectionStatus(Status):
    """What Headrace observed."""

    cluster_id: str | None = Field(None, description="Identifier that the Kafka cluster gives itself.")
    brokers: int | None = Field(None, description="Number of brokers that are up.")
    features: Features | None = Field(
        None, description="What the Kafka can do; absent where the login may not read the brokers' configuration."
    )


def reached(spec: KafkaConnectionSpec) -> str:
    """Return all that the Secrets of a KafkaConnection are sent to, or what is got for them, with commas between."""
    oauth = spec.sasl.oauth if spec.sasl else None
    provider = re.match(r"https?://([^/?]*)", oauth.token_endpoint) if oauth else None
    return ",".join([spec.bootstrap_servers, *([provider[1]] if provider else [])])


def accepted(status: Mapping[str, Any]) -> KafkaConnectionSpec | None:
    """Return the last accepted spec that ``status`` records; None when none ever was: then nobody may use it."""
    recorded = status.get("accepted")
    try:
        return KafkaConnectionSpec.model_validate(dict(recorded.get("spec") or {})) if recorded else None
    except ValidationError:
        return None
