"""Everything a plan reads about one resource: each remote part is what was seen, `Absent`, or `Unknown`.

Nothing here decides; observers fill it in and plans read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.outbox import Told
from headrace_operator.observed.connect import ConnectorSeen, LoggersSeen, Validation, WorkersSeen
from headrace_operator.observed.kafka import BacklogSeen, CapturedSeen, ClusterSeen, Rates, SettingsSeen, TopicsSeen
from headrace_operator.observed.kube import Children, ContractsSeen, Inputs, Resource, SecretSeen
from headrace_operator.observed.snapshots import TopicsOfSnapshots
from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.value import Absent, Unknown

Reference = Resource | Absent | Unknown
Secrets = Mapping[str, SecretSeen | Absent | Unknown]


@dataclass(frozen=True, kw_only=True)
class KafkaConnectionWorld:
    """A KafkaConnection, the Secrets it names, and what the Kafka said; `Unknown.reason` says why it did not answer."""

    resource: Resource
    secrets: Secrets
    cluster: ClusterSeen | Unknown


@dataclass(frozen=True, kw_only=True)
class ConnectClusterWorld:
    """A ConnectCluster, its Kafka, every Connector of the namespace by a live list, its workers and its children.

    `contracts` is None while it is not looked for those that nothing refers to.
    `orphans` has, for each connector on the workers that seems to have lost its Connector, what a live read of it said,
    and `owners` what a later one said of that very Connector; one that is missing here was not read. `databases` has
    what the source agent tells of those whose slots go, too. `home` is the UID of the namespace, read live where there
    are owners. `secrets` are those that its templates and `rest` name. `agent` has the objects of its source agent, and
    `sources` the Secrets of its Connectors' databases, while it has one. `loggers` has what each worker with an address
    tells of its loggers, by that address; nothing while no level is to be set or given back.
    """

    resource: Resource
    kafka: Reference
    connectors: tuple[Resource, ...] | Unknown
    workers: WorkersSeen | Unknown
    owners: Mapping[str, Reference]
    children: Children | Unknown
    home: str | Unknown
    orphans: Mapping[str, ConnectorSeen | Absent | Unknown] = field(default_factory=dict)
    databases: Mapping[str, SourceSeen | Absent | Unknown] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)
    contracts: ContractsSeen | Unknown | None = None
    agent: Children | Unknown = Children(objects={})  # noqa: RUF009 - frozen
    sources: Secrets = field(default_factory=dict)
    loggers: Mapping[str, LoggersSeen | Unknown] | Unknown = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ConnectorWorld:
    """A Connector, its ConnectCluster, its Secrets, and what Connect says of it.

    `readable` has the names of the Secrets that the workers may read. `validation` is None when the wanted
    configuration runs already, so that nothing was asked, and `Unknown` while Connect cannot be asked about it.
    `others` has the Connectors that may share a slot or publication which the spec names; none when it names none.
    `doubt` is why Connect could not run what it says to run, asked when its offsets stood still. `home` is the UID of
    the namespace. `source` is what the source agent tells of the database, and `candidate` what it tells of another one
    to which the spec as written would lead. `stands`: its offsets have not moved for a while. `captured` is what
    was seen just now of its topics. `signals` is the KafkaConnection by which it is told of snapshots, None while it is
    not to be. `left` is the id of a snapshot that is under way and whose Snapshot is gone; `snapshots` are those of
    the namespace.
    """

    resource: Resource
    connect: Reference
    secrets: Secrets
    readable: frozenset[str] | Unknown
    seen: ConnectorSeen | Absent | Unknown
    validation: Validation | Unknown | None
    home: str | Unknown
    others: tuple[Resource, ...] = ()
    doubt: str | None = None
    source: SourceSeen | Absent | Unknown = Unknown(reason="No source agent was asked.")  # noqa: RUF009 - frozen
    candidate: SourceSeen | Absent | Unknown | None = None
    stands: bool = False
    captured: CapturedSeen = CapturedSeen()  # noqa: RUF009 - frozen
    signals: Reference | None = None
    left: str | None = None
    snapshots: tuple[Resource, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OutboxRelayWorld:
    """An OutboxRelay, its KafkaConnection, the Secrets it names, the Connector of its name, and its children.

    `told` has what each of its pods that has an address tells. `contracts` is None while it is not looked for those
    that nothing refers to.
    """

    resource: Resource
    kafka: Reference
    namesake: Reference
    children: Children | Unknown
    told: tuple[Told | Unknown, ...] = ()
    secrets: Secrets = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)
    contracts: ContractsSeen | Unknown | None = None


@dataclass(frozen=True, kw_only=True)
class SnapshotWorld:
    """A Snapshot, its Connector, that one's ConnectCluster and Kafka, and all Snapshots of the namespace.

    `source` is what the source agent tells of the database. `topics` is what was sent and told, None while the
    connector does not listen.
    """

    resource: Resource
    connector: Reference = Unknown(reason="Its Connector was not read.")  # noqa: RUF009 - frozen
    connect: Reference = Unknown(reason="Its Connector was not read.")  # noqa: RUF009 - frozen
    kafka: Reference = Unknown(reason="Its Connector was not read.")  # noqa: RUF009 - frozen
    others: tuple[Resource, ...] | Unknown = ()
    source: SourceSeen | Absent | Unknown = Unknown(reason="No source agent was asked.")  # noqa: RUF009 - frozen
    topics: TopicsOfSnapshots | Unknown | None = None


@dataclass(frozen=True, kw_only=True)
class ConsumerWorld:
    """A Consumer, what it refers to, its topics and backlog in Kafka, and its children.

    `connector` and `connect` are None when the spec names topics instead; `code` is the ConfigMap of a Python source,
    as the set of its keys, and None when the spec names none. `secrets` are those that it names itself. `home` is the
    UID of the namespace. `contracts` is None while it is not looked for those that nothing refers to.
    """

    resource: Resource
    connector: Reference | None
    connect: Reference | None
    kafka: Reference
    topics: TopicsSeen | Unknown
    settings: SettingsSeen
    backlog: BacklogSeen | Unknown
    rates: Rates
    code: frozenset[str] | Absent | Unknown | None
    children: Children | Unknown
    home: str | Unknown
    secrets: Secrets = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)
    contracts: ContractsSeen | Unknown | None = None
