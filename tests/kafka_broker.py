"""A real Kafka broker (KRaft, one node) on random ports of loopback, from the local cluster's own jars, for tests.

It must not be reachable from elsewhere, and leaves nothing behind; killed tests leave only its folder.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests import class_archive
from tests.cluster import authority
from tests.cluster.fast import END_WITH_PARENT
from tests.cluster.images import catalog, ingredients
from tests.ports import free_ports
from tests.waiting import PATIENCE, until

_JAVA = ("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")

BACK_SOON = {"reconnect.backoff.max.ms": "1000"}
"""Settings of a client that outlives the broker's process: a question is asked in vain for a second at most."""

QUIET = {"log_level": "0"}
"""Settings of a client whose failures are expected: it says nothing of them."""

_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_KEY_STORE = "listener.name.tls.ssl.keystore.location"
_TRUST_STORE = "listener.name.mutual.ssl.truststore.location"
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "num.network.threads": "1",  # of each listener: what waits for work costs, too
    "num.io.threads": "2",
    "group.coordinator.threads": "1",
    "share.coordinator.threads": "1",
    "metadata.max.idle.interval.ms": "30000",  # it writes no record twice a second only to show that it lives
    "broker.session.timeout.ms": "600000",  # its own controller never takes it for dead while it is stopped
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.heartbeat.interval.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
    "listener.name.tls.ssl.keystore.type": "PEM",
    "listener.name.mutual.ssl.keystore.type": "PEM",
    "listener.name.mutual.ssl.truststore.type": "PEM",
    "listener.name.mutual.ssl.client.auth": "required",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    "log.retention.check.interval.ms": "2000",
    "log.initial.task.delay.ms": "1000",
}


@dataclass(kw_only=True)
class KafkaBroker:
    """A running broker; ``bootstrap_servers`` takes anybody, ``sasl_servers`` asks for SCRAM-SHA-512.

    Topics, their settings, rules, users and certificates are in force once their methods return: Kafka answers before
    the broker knows.

    Who asks ``tls_servers`` must take the authority in `certify` for one. ``mutual_servers`` asks for a client
    certificate, which is at first one of the broker's own ``authority``, whose files are in that folder.
    """

    bootstrap_servers: str
    sasl_servers: str
    tls_servers: str
    mutual_servers: str
    authority: Path
    process: subprocess.Popen[bytes]
    words: Sequence[str]
    log: Path

    @cached_property
    def admin(self) -> AdminClient:
        """One client for all that tests ask and change: a connection costs the broker far more than an answer."""
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, **BACK_SOON})

    def restart(self) -> None:
        """End the broker in order and begin it anew, with what it had."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process = _started(self.words, self.log)
        _await_answer(self.bootstrap_servers, self.process, self.log)
        until("the broker serving again", self._serves)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let the broker accept connections and answer nothing: its process is stopped meanwhile."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)
            until("the broker serving again", self._serves)

    def _serves(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        try:
            return bool(admin.list_topics(timeout=5).controller_id >= 0)
        except KafkaException:
            return False

    def create_topic(self, name: str, partitions: int = 1, settings: Mapping[str, str] | None = None) -> str:
        """Make a topic and return its name; raises ``confluent_kafka.KafkaException`` when it exists."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(settings or {}))
        self.admin.create_topics([topic])[name].result(timeout=PATIENCE)
        until(f"{name} to be there", lambda: self.partitions(name) == partitions)
        return name

    def make_anew(self, name: str) -> None:
        """Delete a topic, and make one of the same name and as many partitions, which is empty."""
        partitions = self.partitions(name)
        self.admin.delete_topics([name])[name].result(timeout=PATIENCE)
        until(f"no {name}", lambda: name not in self.admin.list_topics(timeout=PATIENCE).topics)
        self.create_topic(name, partitions)

    def partitions(self, name: str) -> int:
        """Return how many partitions a topic has."""
        return len(self.admin.list_topics(name, timeout=PATIENCE).topics[name].partitions)

    def grow(self, name: str, partitions: int) -> None:
        """Add partitions to a topic until it has so many."""
        self.admin.create_partitions([NewPartitions(name, partitions)])[name].result(timeout=PATIENCE)
        until(f"{partitions} partitions of {name}", lambda: self.partitions(name) == partitions)

    def add_user(self, name: str, password: str, mechanism: str = "SCRAM-SHA-512") -> None:
        """Let ``name`` log in with this password, and no longer with one of before."""
        scram = ScramCredentialInfo(ScramMechanism[mechanism.replace("-", "_")], 4096)
        change = UserScramCredentialUpsertion(name, scram, password.encode())
        self.admin.alter_user_scram_credentials([change])[name].result(timeout=PATIENCE)
        until(f"{name} to be let in", lambda: self._lets_in(name, password, mechanism))

    def _lets_in(self, name: str, password: str, mechanism: str) -> bool:
        login = {"sasl.mechanism": mechanism, "sasl.username": name, "sasl.password": password}
        client = AdminClient(
            {"bootstrap.servers": self.sasl_servers, "security.protocol": "SASL_PLAINTEXT", **login, **QUIET}
        )
        try:
            return bool(client.list_topics(timeout=5).brokers)
        except KafkaException:
            return False

    def certify(self, folder: Path) -> Path:
        """Serve from now on with a certificate of a new authority, made in ``folder``; return the authority's own."""
        self._set(_KEY_STORE, _certified(folder))
        return folder / "ca.crt"

    def trust(self, file: Path) -> None:
        """Take from now on client certificates of the authorities in ``file``, and of no other."""
        self._set(_TRUST_STORE, file)

    def _set(self, name: str, file: Path) -> None:
        entry = ConfigEntry(name, str(file), incremental_operation=AlterConfigOpType.SET)
        about = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[entry])
        self.admin.incremental_alter_configs([about])[about].result(timeout=PATIENCE)
        until(f"{name}={file}", lambda: self._described(about)[name] == str(file))

    def settings(self, topic: str) -> dict[str, str]:
        """Return the settings of a topic that are in force."""
        return self._described(ConfigResource(ConfigResource.Type.TOPIC, topic))

    def _described(self, about: ConfigResource) -> dict[str, str]:
        found = self.admin.describe_configs([about])[about].result(timeout=PATIENCE)
        return {name: one.value for name, one in found.items()}

    def alter(self, topic: str, name: str, value: str) -> None:
        """Change a setting of a topic."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        about = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([about])[about].result(timeout=PATIENCE)
        until(f"{name}={value} of {topic}", lambda: self.settings(topic)[name] == value)

    def allow_only(self, topic: str, *operations: AclOperation) -> None:
        """Let everybody do these on ``topic``, and nothing else."""
        self.allow("ANONYMOUS", ResourceType.TOPIC, topic, *operations)

    def allow(
        self,
        user: str,
        kind: ResourceType,
        name: str,
        *operations: AclOperation,
        pattern: ResourcePatternType = ResourcePatternType.LITERAL,
    ) -> None:
        """Let ``user`` do these on what is called ``name``."""
        rules = [
            AclBinding(kind, name, pattern, f"User:{user}", "*", each, AclPermissionType.ALLOW) for each in operations
        ]
        for made in self.admin.create_acls(rules).values():
            made.result(timeout=PATIENCE)
        until("the rules to be in force", lambda: set(rules) <= self._rules_of(kind, name, pattern))

    def _rules_of(self, kind: ResourceType, name: str, pattern: ResourcePatternType) -> set[AclBinding]:
        """Return the rules by which it judges; its controller has them before."""
        of = AclBindingFilter(kind, name, pattern, None, None, AclOperation.ANY, AclPermissionType.ANY)
        return set(self.admin.describe_acls(of).result(timeout=PATIENCE))


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[KafkaBroker]:
    """Run a broker for this session of tests."""
    with serving() as broker:
        yield broker


@contextmanager
def serving() -> Iterator[KafkaBroker]:
    """Run a broker until the end of the block."""
    with installed() as place, place.serving() as broker:
        yield broker


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A broker that may be started, stopped and started again over its ``data``."""

    folder: Path
    settings: Path
    ports: Sequence[int]
    options: Sequence[str]

    @property
    def data(self) -> Path:
        """The folder of the logs: one folder for each partition."""
        return self.folder / "data"

    @contextmanager
    def serving(self) -> Iterator[KafkaBroker]:
        """Run the broker; it is killed at the end, but where it has ended before."""
        log = self.folder / "broker.log"
        words = [*END_WITH_PARENT, *_JAVA, *self.options, "-cp", _classes(), "kafka.Kafka", str(self.settings)]
        plain, sasl, tls, mutual = (f"127.0.0.1:{port}" for port in self.ports)
        broker = KafkaBroker(
            bootstrap_servers=plain,
            sasl_servers=sasl,
            tls_servers=tls,
            mutual_servers=mutual,
            authority=self.folder / "tls",
            process=_started(words, log),
            words=words,
            log=log,
        )
        try:
            _await_answer(plain, broker.process, log)
            yield broker
        finally:
            broker.process.kill()
            broker.process.wait(PATIENCE)


def _started(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(words, stdout=out, stderr=out)


@contextmanager
def installed(settings: Mapping[str, str] = MappingProxyType({}), options: Sequence[str] = ()) -> Iterator[Installed]:
    """Make a broker's folder and settings, of which these go before ours, and remove them in the end.

    ``options`` are more of its JVM's.
    """
    with _laid_out(settings, [_mapping(), *options]) as place:
        yield place


@contextmanager
def _laid_out(settings: Mapping[str, str], options: Sequence[str]) -> Iterator[Installed]:
    folder = Path(tempfile.mkdtemp(prefix="headrace-kafka-"))
    try:
        *ports, controller = free_ports(5)
        file = _written(folder, ports, controller, settings)
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(file)]
        subprocess.run([*_JAVA, *options, "-cp", _classes(), *tool], check=True, capture_output=True, timeout=PATIENCE)
        yield Installed(folder=folder, settings=file, ports=ports, options=options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _classes() -> str:
    return str(_jars() / "libs" / "*")


def _mapping() -> str:
    return class_archive.mapping(_jars().parent / "broker.jsa", _run_once)


def _run_once(option: str) -> None:
    with _laid_out({}, []) as place, replace(place, options=[option]).serving() as broker:
        broker.process.terminate()
        broker.process.wait(PATIENCE)


def _jars() -> Path:
    return ingredients.jars(next(image for image in catalog.IMAGES if image.name == "kafka"))


def _certified(folder: Path) -> Path:
    """Make an authority and a broker's certificate of it; return the latter with its key, as Java reads them."""
    authority.issue(folder, [authority.Certificate(file="broker", user="broker", serves=("127.0.0.1",))])
    store = folder / "broker.pem"
    store.write_text(authority.pkcs8(folder / "broker.key") + (folder / "broker.crt").read_text())
    return store


def _written(directory: Path, ports: Sequence[int], controller: int, more: Mapping[str, str]) -> Path:
    names = {"PLAINTEXT": "PLAINTEXT", "SASL": "SASL_PLAINTEXT", "TLS": "SSL", "MUTUAL": "SSL"}
    clients = ",".join(f"{name}://127.0.0.1:{port}" for name, port in zip(names, ports, strict=True))
    store = _certified(directory / "tls")
    settings = {
        **_SETTINGS,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"{clients},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": clients,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT," + ",".join(map(":".join, names.items())),
        _KEY_STORE: str(store),
        "listener.name.mutual.ssl.keystore.location": str(store),
        _TRUST_STORE: str(directory / "tls" / "ca.crt"),
        "log.dirs": str(directory / "data"),
        **more,
    }
    file = directory / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return file


def _await_answer(address: str, broker: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    host, port = address.split(":")
    while time.monotonic() < deadline and broker.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the broker did not answer; it said last:\n{log.read_text()[-2000:]}")
