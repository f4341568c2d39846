"""The four kinds: how they are named, what `kubectl get` shows of them, and which rules their specs obey."""

from __future__ import annotations

from dataclasses import dataclass

from headrace_operator.api.connectcluster import ConnectClusterSpec, ConnectClusterStatus
from headrace_operator.api.connector import ConnectorSpec, ConnectorStatus
from headrace_operator.api.consumer import ConsumerSpec, ConsumerStatus
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, KafkaConnectionStatus
from headrace_operator.api.properties import REFERENCE, SECRET, TUNING
from headrace_operator.api.schema import Model, Rule, Status


@dataclass(frozen=True, kw_only=True)
class Column:
    """One printer column; `wide` shows it only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind; `rules` are CEL rules by the path of the node they stand on, such as ``spec.capture``."""

    name: str
    plural: str
    short: str
    longest_name: int
    description: str
    spec: type[Model]
    status: type[Status]
    columns: tuple[Column, ...]
    rules: dict[str, tuple[Rule, ...]]


READY = Column(name="Ready", path='.status.conditions[?(@.type=="Ready")].status')
REASON = Column(name="Reason", path='.status.conditions[?(@.type=="Ready")].reason', wide=True)
MESSAGE = Column(name="Message", path='.status.conditions[?(@.type=="Ready")].message', wide=True)
AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")
NO_PASSWORDS = Rule(
    rule=f"self.all(key, !key.matches(r'{SECRET}') || self[key].startsWith('{REFERENCE}'))",
    message="a password would stand here in plain text: name a Secret with credentials instead",
)
ONLY_TUNING = Rule(
    rule=f"self.all(key, key in {list(TUNING)})",
    message="only properties that tune the client may stand here (docs/kafka-connection.md lists them): remove the "
    "others; bootstrapServers, tls and sasl say where Kafka is and how to log in",
)


def _exactly_one(left: str, right: str, message: str) -> Rule:
    return Rule(rule=f"has(self.{left}) != has(self.{right})", message=message, field_path=f".{left}")


KINDS = (
    Kind(
        name="KafkaConnection",
        plural="kafkaconnections",
        short="hrkafka",
        longest_name=50,
        description="KafkaConnection says where a Kafka is and how to log in.",
        spec=KafkaConnectionSpec,
        status=KafkaConnectionStatus,
        columns=(READY, Column(name="Brokers", path=".status.brokers", type="integer"), AGE, REASON, MESSAGE),
        rules={"spec.properties": (ONLY_TUNING,)},
    ),
    Kind(
        name="ConnectCluster",
        plural="connectclusters",
        short="hrconnect",
        longest_name=46,
        description="ConnectCluster runs the Kafka Connect workers that connectors run on.",
        spec=ConnectClusterSpec,
        status=ConnectClusterStatus,
        columns=(
            READY,
            Column(name="Workers", path=".status.readyReplicas", type="integer"),
            Column(name="Version", path=".status.version"),
            AGE,
            REASON,
            MESSAGE,
        ),
        rules={"spec.workers.config": (NO_PASSWORDS,)},
    ),
    Kind(
        name="Connector",
        plural="connectors",
        short="hrconn",
        longest_name=50,
        description="Connector captures the changes of one database into topics.",
        spec=ConnectorSpec,
        status=ConnectorStatus,
        columns=(
            READY,
            Column(name="State", path=".status.state"),
            Column(name="Tasks", path=".status.tasksReady"),
            AGE,
            REASON,
            MESSAGE,
        ),
        rules={
            "spec.capture": (_exactly_one("outbox", "tables", "capture is exactly one of outbox and tables"),),
            "spec.config": (NO_PASSWORDS,),
        },
    ),
    Kind(
        name="Consumer",
        plural="consumers",
        short="hrc",
        longest_name=46,
        description="Consumer runs the code that handles records, as a scaled Deployment.",
        spec=ConsumerSpec,
        status=ConsumerStatus,
        columns=(
            READY,
            Column(name="Replicas", path=".status.replicas", type="integer"),
            Column(name="Lag", path=".status.lag.records", type="integer"),
            Column(name="Lag seconds", path=".status.lag.seconds", type="integer"),
            Column(name="Dead", path=".status.deadLetters.outstanding", type="integer"),
            AGE,
            REASON,
            MESSAGE,
        ),
        rules={
            "spec.from": (
                _exactly_one("connector", "kafka", "from names exactly one of a connector and a kafka with topics"),
                Rule(
                    rule="!has(self.connector) || (has(self.routes) != has(self.tables))",
                    message="from a connector, name exactly one of routes and tables",
                    field_path=".connector",
                ),
                Rule(
                    rule="has(self.kafka) == has(self.topics)",
                    message="kafka and topics go together",
                    field_path=".topics",
                ),
            ),
            "spec.handler": (_exactly_one("http", "python", "a handler is exactly one of http and python"),),
            "spec.handler.python": (
                Rule(
                    rule="!(has(self.image) && has(self.source))",
                    message="the code comes from an image or from a source, not from both",
                    field_path=".source",
                ),
            ),
            "spec.scale": (
                Rule(
                    rule="!has(self.min) || !has(self.max) || self.min <= self.max",
                    message="min must not be greater than max",
                    field_path=".min",
                ),
            ),
        },
    ),
)
