"""ConnectCluster: the Kafka Connect workers that connectors run on."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from headrace_operator.api.external import External
from headrace_operator.api.log_levels import LogLevels
from headrace_operator.api.resources import Resources
from headrace_operator.api.schema import Credentials, Model, Name, ObjectName, Rule, Status
from headrace_operator.api.template import Template, WorkersTemplate
from headrace_operator.api.words import OneOf

ONE_PLACE = "compute of workers is said once: in resources, or in template.resources"
EXACTLY_ONCE = "exactly.once.source.support"
"""The workers' property that `exactlyOnce` is made of."""

ONCE_IN_ONE_PLACE = f"whether workers write once is said by exactlyOnce: remove {EXACTLY_ONCE} from config"
NOT_OURS = "rest protects workers that Headrace runs: url, tls and auth of external say how another one is reached"
SESSIONED = (
    "with rest.auth, connect.protocol of workers.config can be sessioned alone: with another one workers take tasks "
    "from whoever sends them, without a login"
)
"""Source: KIP-507. What workers send one another has no login; it is signed, by this protocol only."""


class Workers(Model):
    """Workers that Headrace runs."""

    replicas: int | None = Field(None, ge=1, le=50, description="Number of worker pods. Default: 1.")
    image: str | None = Field(None, description="Image with Kafka Connect and plug-ins. Default: the release's own.")
    resources: Resources | None = Field(
        None, description="Compute of one worker pod. Default: 250m and 768Mi requested, 1Gi of memory at most."
    )
    config: dict[str, str] | None = Field(
        None,
        description="Extra worker properties, without passwords, each value in one line. They win over those Headrace "
        "sets, but for the workers' Kafka, login, group, topics, listeners and plug-ins.",
    )

    exactly_once: bool | None = Field(
        None,
        description="Whether each change is written once even where a worker is killed, by transactions of Kafka. "
        "Workers are rolled twice for a change of it. Default: false, at least once.",
    )

    template: WorkersTemplate | None = Field(
        None, description="What the pods are given: environment, volumes, compute, placement, JVM options, and more."
    )
    log_levels: LogLevels | None = Field(
        None,
        description="Levels of loggers, each with all whose names begin with its name, changed while the workers run. "
        "One that is taken out gets back the level that it started with.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.resources) || !has(self.template) || !has(self.template.resources)",
            message=ONE_PLACE,
            field_path=".template.resources",
        ),
        Rule(
            rule=f"!has(self.exactlyOnce) || !has(self.config) || !('{EXACTLY_ONCE}' in self.config)",
            message=ONCE_IN_ONE_PLACE,
            field_path=".config",
        ),
    )

    @model_validator(mode="after")
    def _says_compute_once(self) -> Self:
        if self.resources is not None and self.template is not None and self.template.resources is not None:
            raise ValueError(ONE_PLACE)
        return self

    @model_validator(mode="after")
    def _says_once_once(self) -> Self:
        if self.exactly_once is not None and EXACTLY_ONCE in (self.config or {}):
            raise ValueError(ONCE_IN_ONE_PLACE)
        return self


class RestTls(Model):
    """Encrypt the workers' REST interface, and know them by their certificate."""

    secret: ObjectName = Field(
        description="Secret with tls.crt, tls.key (PKCS #8) and ca.crt in PEM, as cert-manager makes it. The "
        "certificate is for NAME-connect.NAMESPACE.svc and *.NAME-connect.NAMESPACE.svc.",
    )


class RestAuth(Model):
    """Ask whoever uses the workers' REST interface for a user name and a password."""

    credentials: Credentials = Field(description="The Secret that holds user name and password.")


class Rest(Model):
    """How the workers' REST interface is protected; a login is sent over TLS alone."""

    tls: RestTls = Field(description="Encrypt it, and know the workers by their certificate.")
    auth: RestAuth | None = Field(None, description="Ask for a user name and a password. Default: no login.")


class Agent(Model):
    """The source agent: one pod beside the workers that looks at the databases of their Connectors."""

    enabled: bool | None = Field(
        None,
        description="Whether there is an agent. Default: false. With false what it would know is Unknown.",
    )
    template: Template | None = Field(
        None, description="What its pod is given: environment, volumes, compute, placement, and more."
    )


class ConnectorDefaults(Model):
    """Properties that Connectors of a source get unless their own specs set them."""

    postgres: dict[str, str] | None = Field(
        None,
        description="Properties of each Connector that captures PostgreSQL, without passwords and Secrets, and without "
        "those that Headrace sets. What a Connector says itself, in a field or in its config, wins.",
    )


class ConnectClusterSpec(OneOf):
    """What a user writes."""

    kind: ClassVar[str] = "ConnectCluster"
    choices: ClassVar[tuple[str, ...]] = ("workers", "external")

    kafka: Name = Field(
        description="Name of the KafkaConnection of the Kafka that the workers use. Fixed once they run."
    )
    workers: Workers | None = Field(None, description="Workers that Headrace runs.")
    external: External | None = Field(
        None, description="A Kafka Connect that others run, in place of workers; it is fixed which of both it is."
    )
    rest: Rest | None = Field(
        None, description="How the workers' REST interface is protected. Default: plain HTTP without a login."
    )
    agent: Agent | None = Field(
        None,
        description="The source agent, which looks at the databases of the Connectors and keeps their publications.",
    )

    connector_defaults: ConnectorDefaults | None = Field(
        None, description="Properties that Connectors of a source get unless their own specs set them."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="!has(self.external) || !has(self.rest)", message=NOT_OURS, field_path=".rest"),
        Rule(
            rule="!has(self.rest) || !has(self.rest.auth) || !has(self.workers) || !has(self.workers.config)"
            " || !('connect.protocol' in self.workers.config)"
            " || self.workers.config['connect.protocol'] == 'sessioned'",
            message=SESSIONED,
            field_path=".workers.config",
        ),
    )

    @property
    def own(self) -> Workers:
        """What is asked of workers that Headrace runs: nothing where others run them."""
        return self.workers or Workers.model_validate({})

    @model_validator(mode="after")
    def _protects_its_own_workers(self) -> Self:
        if self.external is not None and self.rest is not None:
            raise ValueError(NOT_OURS)
        return self

    @model_validator(mode="after")
    def _signs_what_has_no_login(self) -> Self:
        protocol = (self.own.config or {}).get("connect.protocol", "sessioned")
        if self.rest is not None and self.rest.auth is not None and protocol != "sessioned":
            raise ValueError(SESSIONED)
        return self


class Plugin(Model):
    """A connector plug-in that the workers offer."""

    class_name: str = Field(alias="class", description="Java class of the plug-in.")
    version: str = Field(description="Version of the plug-in.")


class LeavingConnector(Model):
    """A connector whose Connector is gone, and how far its removal is."""

    connector: str = Field(description="Its name in Kafka Connect.")
    resource: str = Field(description="UID of the Connector that is gone.")
    phase: Literal["Stopping", "Dropping", "Forgetting", "Removing"] = Field(
        description="Stopping, Dropping while the source agent drops its slot where that is asked for, Forgetting "
        "while its offsets are being removed, then Removing."
    )
    tries: int = Field(description="How often that was asked for.")
    since: datetime = Field(description="When this phase began.")
    message: str = Field(description="What is being done, or was not.")


class ConnectClusterStatus(Status):
    """What Headrace observed."""

    version: str | None = Field(None, description="Version of Kafka Connect that answers.")
    group: str | None = Field(None, description="Group of the workers in Kafka; their topics begin with it.")
    replicas: int | None = Field(None, description="Number of worker pods wanted.")
    ready_replicas: int | None = Field(None, description="Number of worker pods that are ready.")
    replicas_ready: str | None = Field(None, description="Ready and wanted worker pods, as 1/2.")
    exactly_once: Literal["Preparing", "Enabled"] | None = Field(
        None,
        description="Enabled once all workers write each change once, Preparing while they are rolled to it or away.",
    )
    agent_ready: str | None = Field(
        None, description="Ready and wanted pods of the source agent, as 1/1, while there is one."
    )
    log_levels_at_start: dict[str, str] | None = Field(
        None,
        description="Levels that loggers of workers.logLevels, and those below them, start with and get back (200 at "
        "most).",
    )
    plugins: tuple[Plugin, ...] | None = Field(
        None, description="Source connector plug-ins that the workers offer, and those of Headrace."
    )
    unmanaged_connectors: tuple[str, ...] | None = Field(
        None,
        description="Connectors on these workers that no Connector of Headrace made (500 at most), left alone.",
    )
    leaving: tuple[LeavingConnector, ...] | None = Field(
        None, description="Connectors that are being removed, as their Connectors are gone (500 at most)."
    )
