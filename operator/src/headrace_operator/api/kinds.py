"""The kinds: how they are named, what `kubectl get` shows of them, and which rules their specs obey."""

from __future__ import annotations

import dataclasses

from headrace_operator.api import address_rules, log_levels, secret_reference
from headrace_operator.api.address_rules import NO_LOGIN, NO_LOGIN_AT_ALL
from headrace_operator.api.connectcluster import ConnectClusterSpec, ConnectClusterStatus, Workers
from headrace_operator.api.connector import (
    COLUMNS,
    RESERVED,
    Capture,
    ConnectorSpec,
    ConnectorStatus,
    OnDelete,
    OutboxColumns,
)
from headrace_operator.api.consumer import (
    Compensate,
    ConsumerSpec,
    ConsumerStatus,
    Deduplication,
    Delivery,
    Handler,
    Python,
    Scale,
    Source,
)
from headrace_operator.api.durations import SENSIBLE
from headrace_operator.api.external import External
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, KafkaConnectionStatus, Sasl
from headrace_operator.api.kind import AGE, MESSAGE, NO_DOTS, READY, REASON, WAS_SEEN, Column, Kind, Naming
from headrace_operator.api.outboxrelay import NO_TABLE, OUR_TOPICS, OutboxRelaySpec, OutboxRelayStatus
from headrace_operator.api.properties import CONNECTOR_SECRETS, WORKER_SECRETS
from headrace_operator.api.property_rules import (
    NO_IDENTITY,
    NO_KAFKA,
    NO_PASSWORDS,
    NO_REFERENCES,
    NONE_OF_ONE,
    NOT_THE_WORKERS,
    ONLY_TUNING,
    PLAIN_LINES,
    only_whole_references,
)
from headrace_operator.api.schema import SERVICE, Rule
from headrace_operator.api.snapshot import ONE_CONDITION, SnapshotSpec, SnapshotStatus
from headrace_operator.api.tables import IS_TABLE
from headrace_operator.api.template_rules import NO_LOGIN_IN_IMAGE, of_consumer, of_workers
from headrace_operator.api.template_rules import rules as of_any

TARGET = Column(name="Target", path='.status.conditions[?(@.type=="TargetHealthy")].status', wide=True)
CA_OF_REDISS = Rule(
    rule="!has(self.ca) || self.url.startsWith('rediss://')",
    message="redis:// is not encrypted, so there is nothing to check by ca: write rediss://, or leave ca out",
    field_path=".ca",
)
ADDED = ("headrace.", "kafka_dlt-", "retry_topic-", "__dlq.errors.", "correlation-id")
"""How headers begin that the runtime adds to dead letters and retry records."""

NOT_ADDED = Rule(
    rule=f"!{list(ADDED)}.exists(prefix, self.startsWith(prefix))",
    message="a header of this name is added by Headrace: name the one in which the records' producer says their ids",
)
OTHER_SOURCE = (
    "records that wait there would never be handled: make another Consumer, and delete this one when its lag is 0"
)
HAS_PODS = "has(self.status) && has(self.status.replicas) && self.status.replicas > 0"
HAD_PODS = f"({HAS_PODS}) || (has(self.status) && has(self.status.startTime))"
IS_ACCEPTED = "has(self.status) && has(self.status.accepted)"
"""From when on a field stays as it is: until then nothing was made that a change could leave behind."""
AS_A_SERVICE = Naming(
    pattern=SERVICE,
    message="the workers' Service is named after it: begin with a letter, and use no dots but letters, digits, hyphens",
)


SAME_WORKERS = Rule(
    rule=f"!({IS_ACCEPTED}) || has(oldSelf.spec.external) == has(self.spec.external)",
    message="connectors and their offsets stay where they are, with workers of Headrace or on another Kafka Connect: "
    "make another ConnectCluster instead",
    field_path=".spec.external",
)
SAME_CONNECT = Rule(
    rule=f"!({IS_ACCEPTED}) || !has(oldSelf.spec.external) || !has(self.spec.external) || "
    "oldSelf.spec.external.url.replace('https://', 'http://') == "
    "self.spec.external.url.replace('https://', 'http://')",
    message="connectors and their offsets stay on the first Kafka Connect: make another ConnectCluster instead",
    field_path=".spec.external.url",
)


def _kept(field: str, once: str, message: str) -> Rule:
    before, now = (_text(root, field) for root in ("oldSelf", "self"))
    return Rule(rule=f"!({once}) || {before} == {now}", message=message, field_path=f".{field}")


def _text(root: str, field: str) -> str:
    parts = field.split(".")
    there = " && ".join(f"has({root}.{'.'.join(parts[:end])})" for end in range(2, len(parts) + 1))
    return f"({there} ? {root}.{field} : '')"


def _not_above(amount: str, request: str, limit: str, message: str) -> Rule:
    wanted, most = (
        f"quantity(has(self.{part}) && has(self.{part}.{amount}) ? self.{part}.{amount} : '{default}')"
        for part, default in (("requests", request), ("limits", limit))
    )
    return Rule(rule=f"{wanted}.compareTo({most}) <= 0", message=message, field_path=".requests")


NOT_RESERVED = Rule(
    rule=f"{WAS_SEEN} || !{_text('self', 'spec.topics.prefix')}.matches('{RESERVED}')",
    message="topics that begin with retry, dlq or connect may be those that Headrace makes for Consumers and workers: "
    "choose another prefix",
    field_path=".spec.topics.prefix",
)

KINDS = (
    Kind(
        name="KafkaConnection",
        plural="kafkaconnections",
        short="hrkafka",
        longest_name=50,
        naming=NO_DOTS,
        description="KafkaConnection says where a Kafka is and how to log in.",
        spec=KafkaConnectionSpec,
        status=KafkaConnectionStatus,
        columns=(READY, Column(name="Brokers", path=".status.brokers", type="integer"), REASON, AGE, MESSAGE),
        rules={
            "spec.properties": (ONLY_TUNING,),
            "spec.bootstrapServers": (NO_LOGIN_AT_ALL, *address_rules.OF_BROKERS),
            "spec.sasl": Sasl.rules,
            "spec.sasl.oauth.tokenEndpoint": (NO_LOGIN, *address_rules.OF_TOKENS),
        },
    ),
    Kind(
        name="ConnectCluster",
        plural="connectclusters",
        short="hrconnect",
        longest_name=46,
        naming=AS_A_SERVICE,
        description="ConnectCluster runs the Kafka Connect workers that connectors run on.",
        spec=ConnectClusterSpec,
        status=ConnectClusterStatus,
        columns=(
            READY,
            Column(name="Workers", path=".status.replicasReady"),
            Column(name="Version", path=".status.version"),
            REASON,
            AGE,
            MESSAGE,
        ),
        rules={
            "": (
                _kept(
                    "spec.kafka",
                    HAS_PODS,
                    "the connectors' offsets are on the first Kafka: make another ConnectCluster instead",
                ),
                SAME_WORKERS,
                SAME_CONNECT,
            ),
            "spec": (ConnectClusterSpec.rule(), *ConnectClusterSpec.rules),
            "spec.connectorDefaults.postgres": (
                NO_PASSWORDS,
                NO_REFERENCES,
                NO_IDENTITY,
                NONE_OF_ONE,
                NO_KAFKA,
                *address_rules.OF_PROPERTIES,
            ),
            "spec.external": External.rules,
            "spec.external.url": address_rules.OF_CONNECT,
            "spec.external.secretReference": (secret_reference.RULE,),
            "spec.workers.config": (
                NO_PASSWORDS,
                NOT_THE_WORKERS,
                PLAIN_LINES,
                only_whole_references(WORKER_SECRETS),
                *address_rules.OF_PROPERTIES,
            ),
            "spec.workers": Workers.rules,
            "spec.workers.logLevels": log_levels.RULES,
            "spec.workers.image": (NO_LOGIN_IN_IMAGE,),
            **of_workers("spec.workers.template"),
            **of_any("spec.agent.template"),
            "spec.workers.resources": (
                _not_above("memory", "768Mi", "1Gi", "requests.memory is above limits.memory (1Gi if not given)"),
                _not_above("cpu", "250m", "1000000", "requests.cpu (250m if not given) is above limits.cpu"),
            ),
        },
    ),
    Kind(
        name="Connector",
        plural="connectors",
        short="hrconn",
        longest_name=50,
        naming=NO_DOTS,
        description="Connector captures the changes of one database into topics.",
        spec=ConnectorSpec,
        status=ConnectorStatus,
        columns=(
            READY,
            Column(name="State", path=".status.state"),
            Column(name="Tasks", path=".status.tasksReady"),
            Column(name="Lag seconds", path=".status.lagSeconds", type="integer"),
            REASON,
            AGE,
            MESSAGE,
        ),
        rules={
            "": (
                _kept(
                    "spec.connect",
                    IS_ACCEPTED,
                    "the offsets stay with the first ConnectCluster: make another Connector on the other one instead",
                ),
                _kept(
                    "spec.postgres.database",
                    IS_ACCEPTED,
                    "slot and offsets belong to the first database: make another Connector for the other one instead",
                ),
                _kept(
                    "spec.postgres.slot",
                    IS_ACCEPTED,
                    "a new slot misses earlier changes, and the old one fills the disk: make another Connector instead",
                ),
                _kept(
                    "spec.capture.outbox.table",
                    IS_ACCEPTED,
                    "the publication was made for the first table, and rows of another would be lost: make another "
                    "Connector for the other table instead",
                ),
                _kept(
                    "spec.topics.prefix",
                    IS_ACCEPTED,
                    "records in the old topics would never be handled: make another Connector and Consumers instead",
                ),
                NOT_RESERVED,
            ),
            "spec": ConnectorSpec.rules,
            "spec.onDelete": OnDelete.rules,
            "spec.capture": (Capture.rule(),),
            "spec.capture.outbox.table": (IS_TABLE,),
            "spec.capture.tables[]": (IS_TABLE,),
            **{f"spec.capture.outbox.columns.{column}": (COLUMNS.rule,) for column in OutboxColumns.model_fields},
            "spec.config": (
                NO_PASSWORDS,
                NO_IDENTITY,
                NO_KAFKA,
                only_whole_references(CONNECTOR_SECRETS),
                *address_rules.OF_PROPERTIES,
                address_rules.ITS_DATABASE,
            ),
            "spec.postgres.host": (NO_LOGIN_AT_ALL, *address_rules.OF_DATABASE),
            "spec.postgres.database": (address_rules.A_DATABASE,),
        },
    ),
    Kind(
        name="Consumer",
        plural="consumers",
        short="hrc",
        longest_name=46,
        naming=NO_DOTS,
        description="Consumer runs the code that handles records, as a scaled Deployment.",
        spec=ConsumerSpec,
        status=ConsumerStatus,
        columns=(
            READY,
            Column(name="Replicas", path=".status.replicasReady"),
            Column(name="Lag", path=".status.lag.records", type="integer"),
            Column(name="Lag seconds", path=".status.lag.seconds", type="integer"),
            Column(name="Dead", path=".status.deadLetters.outstanding", type="integer"),
            REASON,
            AGE,
            TARGET,
            MESSAGE,
        ),
        rules={
            "": (
                _kept("spec.from.connector", HAD_PODS, OTHER_SOURCE),
                _kept("spec.from.kafka", HAD_PODS, OTHER_SOURCE),
            ),
            "spec.from": Source.rules,
            "spec.from.tables[]": (IS_TABLE,),
            "spec.handler": (Handler.rule(),),
            "spec.delivery": Delivery.rules,
            "spec.delivery.onDeadLetter.compensate": (Compensate.rule(),),
            "spec.handler.http.url": (NO_LOGIN, *address_rules.OF_WEB),
            "spec.delivery.messageIdHeader": (NOT_ADDED,),
            "spec.delivery.deduplication": (Deduplication.rule(),),
            "spec.delivery.deduplication.redis": (CA_OF_REDISS,),
            "spec.delivery.deduplication.redis.url": (NO_LOGIN, *address_rules.OF_STORE),
            "spec.handler.python.image": (NO_LOGIN_IN_IMAGE,),
            "spec.handler.python": Python.rules,
            "spec.delivery.onDeadLetter.compensate.http.url": (NO_LOGIN, *address_rules.OF_WEB),
            "spec.delivery.onDeadLetter.compensate.http.timeout": (SENSIBLE,),
            "spec.handler.http.timeout": (SENSIBLE,),
            "spec.handler.python.timeout": (SENSIBLE,),
            "spec.delivery.retry.backoff.initial": (SENSIBLE,),
            "spec.delivery.retry.backoff.max": (SENSIBLE,),
            "spec.delivery.retry.maxAge": (SENSIBLE,),
            "spec.delivery.retry.maxInMemory": (SENSIBLE,),
            **of_consumer("spec.template"),
            "spec.scale": Scale.rules,
        },
    ),
    Kind(
        name="OutboxRelay",
        plural="outboxrelays",
        short="hrrelay",
        longest_name=46,
        naming=NO_DOTS,
        description="OutboxRelay publishes the rows of an outbox table by polling it, where CDC is not possible.",
        spec=OutboxRelaySpec,
        status=OutboxRelayStatus,
        columns=(
            READY,
            Column(name="Replicas", path=".status.replicasReady"),
            Column(name="Backlog", path=".status.backlog", type="integer"),
            Column(name="Oldest seconds", path=".status.oldestPendingSeconds", type="integer"),
            Column(name="Failed", path=".status.failedRows", type="integer"),
            REASON,
            AGE,
            MESSAGE,
        ),
        rules={
            "spec": (OutboxRelaySpec.rule(),),
            **{
                f"spec.{database}.host": (NO_LOGIN_AT_ALL, *address_rules.OF_HOST)
                for database in OutboxRelaySpec.choices
            },
            "spec.table": (NO_TABLE.rule,),
            "spec.topicPrefix": (OUR_TOPICS.rule,),
            "spec.interval": (SENSIBLE,),
            "spec.retry.backoff.initial": (SENSIBLE,),
            "spec.retry.backoff.max": (SENSIBLE,),
            **of_any("spec.template"),
        },
    ),
    Kind(
        name="Snapshot",
        plural="snapshots",
        short="hrsnap",
        longest_name=63,
        naming=NO_DOTS,
        description="Snapshot reads rows of a Connector's tables once more while it runs.",
        spec=SnapshotSpec,
        status=SnapshotStatus,
        columns=(
            Column(name="Connector", path=".spec.connector"),
            Column(name="Phase", path=".status.phase"),
            Column(name="Tables", path=".status.tablesDone"),
            Column(name="Rows", path=".status.rows", type="integer"),
            AGE,
            dataclasses.replace(REASON, wide=True),
            MESSAGE,
        ),
        rules={
            "": SnapshotSpec.fixed,
            "spec": SnapshotSpec.rules,
            "spec.tables[]": (IS_TABLE,),
            "spec.filter[].table": (IS_TABLE,),
            "spec.filter[].where": (ONE_CONDITION.rule,),
        },
    ),
)
