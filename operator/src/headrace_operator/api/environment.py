"""Environment variables of a container, in the shapes that Kubernetes gives them."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from headrace_operator.api.properties import LOGIN
from headrace_operator.api.schema import Key, Model, ObjectName, Rule
from headrace_operator.api.words import OneOf, Refused

OURS = Refused(
    pattern="^(HEADRACE_|JAVA_OPTS$)",
    message="variables that begin with HEADRACE_, and JAVA_OPTS, are set by Headrace: give this one another name",
)
PLAIN = "a password would stand here in plain text: name a Secret with valueFrom.secretKeyRef instead"
SECRET = r"(?i)(password|passphrase|passwd|secret|token|api_?key|access_?key|private_?key)$"
"""Names of variables whose value is a secret; those that end otherwise, such as with _FILE, tell where one is."""

FIELD = (
    r"^(metadata\.(name|namespace|uid|labels\['[-./a-zA-Z0-9_]+'\]|annotations\['[-./a-zA-Z0-9_]+'\])"
    r"|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$"
)

Variable = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"),
    AfterValidator(OURS),
]
"""The name of an environment variable."""


class KeyOf(Model):
    """One key of a Secret or ConfigMap in the same namespace."""

    name: ObjectName = Field(description="Name of the object in the same namespace.")
    key: Key = Field(description="Key in it that holds the value.")
    optional: bool | None = Field(None, description="Whether pods start without it. Default: false.")


class FieldOf(Model):
    """One field of the pod itself."""

    field_path: str = Field(
        pattern=FIELD, max_length=253, description="Field of the pod, such as metadata.name or status.podIP."
    )


class ValueFrom(OneOf):
    """Where a variable's value comes from: exactly one of the three."""

    choices: ClassVar = ("secretKeyRef", "configMapKeyRef", "fieldRef")

    secret_key_ref: KeyOf | None = Field(None, description="A key of a Secret in the same namespace.")
    config_map_key_ref: KeyOf | None = Field(None, description="A key of a ConfigMap in the same namespace.")
    field_ref: FieldOf | None = Field(None, description="A field of the pod itself.")


class Env(OneOf):
    """One environment variable: exactly one of value and valueFrom."""

    choices: ClassVar = ("value", "valueFrom")

    name: Variable = Field(description="Name of the variable, none that begins with HEADRACE_.")
    value: str | None = Field(None, max_length=10_000, description="The value itself, which is no secret.")
    value_from: ValueFrom | None = Field(None, description="Where the value comes from.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule=f"!has(self.value) || !((self.value != '' && self.name.matches(r'{SECRET}')) "
            f"|| self.value.matches(r'{LOGIN}'))",
            message=PLAIN,
            field_path=".value",
        ),
    )

    @model_validator(mode="after")
    def _hides_secrets(self) -> Self:
        if self.value and (re.search(SECRET, self.name) or re.search(LOGIN, self.value)):
            raise ValueError(PLAIN)
        return self


class ObjectOf(Model):
    """A Secret or ConfigMap in the same namespace, whole."""

    name: ObjectName = Field(description="Name of the object in the same namespace.")
    optional: bool | None = Field(None, description="Whether pods start without it. Default: false.")


class EnvFrom(OneOf):
    """Every key of a Secret or ConfigMap as a variable: exactly one of secretRef and configMapRef."""

    choices: ClassVar = ("secretRef", "configMapRef")

    prefix: str | None = Field(
        None,
        pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$",
        max_length=100,
        description="What stands before each key in the name of its variable.",
    )
    secret_ref: ObjectOf | None = Field(None, description="A Secret in the same namespace.")
    config_map_ref: ObjectOf | None = Field(None, description="A ConfigMap in the same namespace.")
