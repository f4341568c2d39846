"""A Kafka Connect that others run, as a ConnectCluster names it in place of workers."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from headrace_operator.api import secret_reference
from headrace_operator.api.kafkaconnection import Certificate
from headrace_operator.api.schema import Credentials, Model, Rule, SecretKey

ENCRYPTED = "a login and certificates go over TLS alone: write https:// in url, or leave tls and auth out"
SecretReference = Annotated[str, AfterValidator(secret_reference.judged)]


class ExternalTls(Model):
    """Whose certificate is trusted, and which one is shown."""

    ca: SecretKey | None = Field(
        None, description="Secret key with the authority's PEM certificates. Default: the image's."
    )
    certificate: Certificate | None = Field(
        None, description="Show a client certificate (mutual TLS). Default: none is shown."
    )


class ExternalAuth(Model):
    """The login to the REST interface."""

    credentials: Credentials = Field(description="The Secret that holds user name and password.")


class External(Model):
    """A Kafka Connect that Headrace does not run: by its REST interface it puts Connectors there, and nothing else."""

    url: str = Field(
        max_length=500,
        description="Address of its REST interface, as https://host:port. Fixed once accepted, but for http or https.",
    )
    tls: ExternalTls | None = Field(
        None, description="Whose certificate is trusted, and which one is shown. Default: the image's, and none."
    )
    auth: ExternalAuth | None = Field(
        None, description="User name and password of its REST interface, over https alone. Default: no login."
    )
    secret_reference: SecretReference | None = Field(
        None,
        max_length=200,
        description="How its own config provider names a key of a Secret, with {namespace}, {name} and {key}, such as "
        "${secrets:{namespace}/{name}:{key}} or ${directory:/opt/secrets/{name}:{key}}. Connectors need it.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.url.startsWith('https://') || (!has(self.tls) && !has(self.auth))",
            message=ENCRYPTED,
            field_path=".url",
        ),
    )

    @model_validator(mode="after")
    def _encrypts_what_is_secret(self) -> Self:
        if not self.url.startswith("https://") and (self.tls is not None or self.auth is not None):
            raise ValueError(ENCRYPTED)
        return self

    @property
    def address(self) -> str:
        """Host and port that requests go to, as ``headrace.dev/hosts`` of a Secret compares them."""
        host = re.sub(r"^https?://([^/]*).*$", r"\1", self.url)
        is_whole = re.search(r":\d+$", host) and not host.endswith("]")
        return host if is_whole else f"{host}:{443 if self.url.startswith('https') else 80}"
