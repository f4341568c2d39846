"""The building blocks of every kind: strict models, metadata, conditions and Secret references.

It must not know any one kind, and does no I/O.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

GROUP = "headrace.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

REQUESTED = f"{GROUP}/requested-at"
"""The annotation that asks for a pass: another value each time, such as the time."""

TAKE_OVER = f"{GROUP}/take-over"
"""The annotation that names UIDs of namespaces, with commas between, whose namesakes this resource goes on with."""

RESTART = f"{GROUP}/restart"
"""The annotation that asks for a restart of a Connector: an id, another one each time."""

OFFSETS = f"{GROUP}/offsets"
"""The annotation that asks for other offsets of a Connector: JSON with an id (`headrace_operator.api.operations`)."""

SKIP = f"{GROUP}/skip"
"""The annotation that asks to pass by a row of an outbox: JSON with an id, and the row's."""

ASKED = {"restart": RESTART, "offsets": OFFSETS, "skip": SKIP}
"""Annotations that ask for something once, by the names that a status has for them."""

LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SERVICE = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""What a name must be that becomes that of a Service (RFC 1035)."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=LABEL)]
"""The name of another of Headrace's resources in the same namespace."""

ClusterName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=SERVICE)]
"""The name of a ConnectCluster in the same namespace."""

ObjectName = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
]
"""The name of a Secret or ConfigMap in the same namespace."""

Key = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key of a Secret."""


TOPIC = r"^(\.*[a-zA-Z0-9_-][a-zA-Z0-9._-]*|\.{3,})$"
"""Names that Kafka takes for a topic, but for their length: "." and ".." are none."""

LONGEST_TOPIC = 249
"""Characters of the longest name that Kafka takes for a topic."""

Topic = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TOPIC, pattern=TOPIC)]
"""The name of a topic."""


class Model(BaseModel):
    """A frozen part of a resource; field names are camelCase on the wire; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Rule(Model):
    """A CEL rule of a schema node: what must hold, what to tell the user, and which field it is about."""

    rule: str
    message: str
    field_path: str | None = None


class Credentials(Model):
    """Names a Secret in the same namespace and the keys in it that hold user name and password."""

    secret: ObjectName = Field(description="Name of the Secret in the same namespace.")
    username_key: Key | None = Field(None, description="Key that holds the user name. Default: username.")
    password_key: Key | None = Field(None, description="Key that holds the password. Default: password.")

    @property
    def keys(self) -> tuple[str, str]:
        """The keys of the Secret with user name and password."""
        return self.username_key or "username", self.password_key or "password"


class SecretKey(Model):
    """Names one key of a Secret in the same namespace."""

    secret: ObjectName = Field(description="Name of the Secret in the same namespace.")
    key: Key = Field(description="Key in the Secret that holds the value.")


class Condition(Model):
    """One observation about an object, as Kubernetes' API conventions define conditions."""

    type: str = Field(description="What is observed, in CamelCase.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds: True, False or Unknown.")
    reason: str = Field(description="Why, as one CamelCase word.")
    message: str = Field(description="Why, as a sentence for people, with what to do.")
    last_transition_time: datetime = Field(description="When the status last changed.")
    observed_generation: int = Field(description="Generation of the spec this was observed for.")


class Accepted(Model):
    """The last spec that was accepted; it stays in force while a later edit is refused."""

    generation: int = Field(description="Generation of the accepted spec.")
    spec: dict[str, Any] = Field(description="The accepted spec, as it was written.")


class Status(Model):
    """What every status has; each kind adds its own fields."""

    observed_generation: int = Field(-1, description="Generation of the spec that this status speaks of.")
    conditions: tuple[Condition, ...] = Field((), description="Observations, one per type.")
    accepted: Accepted | None = Field(None, description="The last accepted spec; it is what runs.")
    last_handled_request: str | None = Field(
        None, description="The annotation headrace.dev/requested-at, at most 100 characters, that a pass has answered."
    )
