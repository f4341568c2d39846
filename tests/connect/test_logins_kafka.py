"""Each login to Kafka, by each part that logs in, with the rights that docs/kafka-connection.md names and no others."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, ResourcePatternType, ResourceType

from headrace import config as contract
from headrace.cli.failure import Exit
from headrace.letters import redrive
from headrace_operator.api.connectcluster import EXACTLY_ONCE
from headrace_operator.api.consumer import ConsumerSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kafka import Span
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import consumption, names
from tests import token_provider
from tests.cluster import authority
from tests.connect.capturing import Database, Parts
from tests.connect_worker import working, write_secret
from tests.kafka_broker import KafkaBroker, installed
from tests.operator import worlds
from tests.operator.asking import answered, refused
from tests.operator.clients.test_kafka_offsets import clients
from tests.postgres_server import PostgresServer
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.runtime.test_rotation_kafka import mount
from tests.token_provider import TokenProvider
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

PARTS = ("operator", "pods", "command", "workers")
"""Who logs in: each has a user of its own here, so that none has another's rights."""

SHORT = 15
"""Seconds that a token is good for where its end is awaited."""

USER, TRIED = "org.apache.kafka.common.security.{}LoginModule required", "SCRAM-SHA-256,SCRAM-SHA-512"
LISTENER = "listener.name.sasl.{}.sasl.jaas.config"
HANDLER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
STRICT = {
    "allow.everyone.if.no.acl.found": "false",
    "super.users": "User:ANONYMOUS",
    "sasl.enabled.mechanisms": f"PLAIN,OAUTHBEARER,{TRIED}",
    LISTENER.format("oauthbearer"): f"{USER.format('oauthbearer.OAuthBearer')};",
    "listener.name.sasl.oauthbearer.sasl.server.callback.handler.class": HANDLER,
    "listener.name.sasl.oauthbearer.connections.max.reauth.ms": "600000",
    "sasl.oauthbearer.expected.audience": token_provider.AUDIENCE,
    "sasl.oauthbearer.expected.issuer": token_provider.ISSUER,
    LISTENER.format("plain"): f"{USER.format('plain.Plain')} {' '.join(f'user_{one}=x' for one in PARTS)};",
    **{LISTENER.format(one.lower()): f"{USER.format('scram.Scram')};" for one in TRIED.split(",")},
}
"""Who does not log in may do anything, and who does only what they were given."""

CREATE, READ, WRITE, DESCRIBE = AclOperation.CREATE, AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE
CONFIGS, ALTER_CONFIGS, ALTER = AclOperation.DESCRIBE_CONFIGS, AclOperation.ALTER_CONFIGS, AclOperation.ALTER
TOPIC, GROUP, TRANSACTION = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID


@dataclass(frozen=True, kw_only=True)
class Login:
    """How one part logs in: what a KafkaConnection says, its Secrets, and who that is for Kafka."""

    spec: KafkaConnectionSpec
    secrets: Mapping[str, Mapping[str, str]]
    user: str


class Shelf(Kube):
    """Secrets that are there; nothing else is asked."""

    def __init__(self, secrets: Mapping[str, Mapping[str, str]]) -> None:
        self._secrets = secrets

    async def secret_values(self, namespace: str, name: str, address: str) -> Mapping[str, bytes]:
        return {key: value.encode() for key, value in self._secrets[name].items()}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenProvider]:
    """Run a provider of tokens."""
    with token_provider.providing(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(scope="module")
def broker(provider: TokenProvider) -> Iterator[KafkaBroker]:
    """Run a broker whose authorizer gives nothing that was not given."""
    keys = {"sasl.oauthbearer.jwks.endpoint.url": f"file://{provider.keys}"}
    allowed = [
        f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{provider.keys}",
        f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={provider.keys}",
    ]
    with installed({**STRICT, **keys}, allowed) as place, place.serving() as running:
        for mechanism in TRIED.split(","):
            for part in PARTS:
                running.add_user(part, "x", mechanism)
        yield running


def with_password(broker: KafkaBroker, mechanism: str, part: str) -> Login:
    sasl = {"mechanism": mechanism, "credentials": {"secret": "login"}}
    spec = KafkaConnectionSpec.model_validate({"bootstrapServers": broker.sasl_servers, "sasl": sasl})
    return Login(spec=spec, secrets={"login": {"username": part, "password": "x"}}, user=part)


def with_certificate(broker: KafkaBroker, part: str) -> Login:
    authority.sign(broker.authority, authority.Certificate(file=part, user=part))
    tls = {"ca": {"secret": "authority", "key": "ca.crt"}, "certificate": {"secret": "client"}}
    spec = KafkaConnectionSpec.model_validate({"bootstrapServers": broker.mutual_servers, "tls": tls})
    certificate, key = (broker.authority / f"{part}.{end}" for end in ("crt", "key"))
    secrets = {
        "authority": {"ca.crt": (broker.authority / "ca.crt").read_text()},
        "client": {"tls.crt": certificate.read_text(), "tls.key": authority.pkcs8(key)},
    }
    return Login(spec=spec, secrets=secrets, user=f"CN={part}")


def with_token(broker: KafkaBroker, provider: TokenProvider, part: str) -> Login:
    provider.clients[part], provider.life = "x", token_provider.LIFE
    oauth = {"tokenEndpoint": provider.endpoint, "scope": "kafka", "ca": {"secret": "provider", "key": "ca.crt"}}
    sasl = {"mechanism": "OAUTHBEARER", "credentials": {"secret": "login"}, "oauth": oauth}
    spec = KafkaConnectionSpec.model_validate({"bootstrapServers": broker.sasl_servers, "sasl": sasl})
    secrets = {"login": {"username": part, "password": "x"}, "provider": {"ca.crt": provider.ca.read_text()}}
    return Login(spec=spec, secrets=secrets, user=part)


@pytest.fixture(params=["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "certificate", "OAUTHBEARER"])
def login(broker: KafkaBroker, provider: TokenProvider, request: pytest.FixtureRequest) -> Callable[[str], Login]:
    """Return how a part logs in."""
    match request.param:
        case "certificate":
            return partial(with_certificate, broker)
        case "OAUTHBEARER":
            return partial(with_token, broker, provider)
        case mechanism:
            return partial(with_password, broker, mechanism)


async def test_operator_pods_and_command(broker: KafkaBroker, tmp_path: Path, login: Callable[[str], Login]) -> None:
    """Topics are made, records handled, one buried and put back, and what is committed is told."""
    world = make_world(broker, tmp_path, topics=False)
    own = world.config.topics
    kafkas, resource = _operator(world, login("operator"))
    with closing(kafkas):
        kafka = await kafkas.open(resource)
        assert (await answered(kafka.cluster)).brokers == 1
        for topic, partitions in ((world.source, 2), (own.retry, 2), (own.dead_letters, 2), (own.resolutions, 1)):
            await answered(lambda: kafka.create(topic, partitions, {}))  # noqa: B023 - awaited at once
        await answered(lambda: kafka.alter(own.retry, {"retention.ms": "-1"}))
        await answered(lambda: kafka.settings(own.retry), lambda found: found["retention.ms"] == "-1")
        _handle(world, login("pods"), login("command"), tmp_path)
        seen = await answered(lambda: kafka.committed(world.config.group, [(world.source, 0), (world.source, 1)]))
        assert {at: one.offset for at, one in seen.items()} == {(world.source, 0): 1, (world.source, 1): 2}
        log = await answered(lambda: kafka.read(world.config.group, {(own.dead_letters, 1): Span(start=0, end=1)}))
        assert len(log.records) == 1


@pytest.mark.parametrize(
    "login",
    [
        "SCRAM-SHA-512",
        "certificate",
        "OAUTHBEARER",
        *(pytest.param(one, marks=pytest.mark.sweep) for one in ("PLAIN", "SCRAM-SHA-256")),
    ],
    indirect=True,
)
def test_workers(
    broker: KafkaBroker, postgres_server: PostgresServer, tmp_path: Path, login: Callable[[str], Login]
) -> None:
    """A row of a database comes into its topic."""
    resource = worlds.resource("ConnectCluster", f"c{uuid.uuid4().hex[:8]}", {})
    group, own = names.connect_group(resource.namespace, resource.name), login("workers")
    _allow_workers(broker, own, group)
    _write_secrets(tmp_path, resource.namespace, own)
    with working(tmp_path, resource, own.spec) as worker:
        parts = Parts(worker=worker, server=postgres_server, broker=broker)
        with parts.database() as database:
            _capture_one(broker, own, database)


def test_workers_that_write_once(broker: KafkaBroker, postgres_server: PostgresServer, tmp_path: Path) -> None:
    """A row of a database comes into its topic, by the rights of all workers and those to transactions."""
    resource, own = (
        worlds.resource("ConnectCluster", f"c{uuid.uuid4().hex[:8]}", {}),
        with_password(broker, "SCRAM-SHA-512", "workers"),
    )
    group = names.connect_group(resource.namespace, resource.name)
    _allow_workers(broker, own, group)
    broker.allow(own.user, TRANSACTION, f"connect-cluster-{group}", WRITE)
    broker.allow(own.user, TRANSACTION, f"{group}-", WRITE, pattern=ResourcePatternType.PREFIXED)
    _write_secrets(tmp_path, resource.namespace, own)
    with working(tmp_path, resource, own.spec, config={EXACTLY_ONCE: "enabled"}) as worker:
        parts = Parts(worker=worker, server=postgres_server, broker=broker)
        with parts.database() as database:
            _capture_one(broker, own, database)


@pytest.mark.case("delivery-13")
def test_tokens_end_and_their_client_changes_under_a_process_that_runs(
    broker: KafkaBroker, provider: TokenProvider, tmp_path: Path
) -> None:
    """Brokers close connections when their token ends. A provider that is away then is asked again until it is back."""
    world = make_world(broker, tmp_path)
    folder, name = tmp_path / "mounted", world.config.consumer
    own = with_token(broker, provider, name)
    provider.life = SHORT
    for user in (name, f"{name}-too"):
        _allow_pods(world, user)
    with consuming(world, _mounted(world, own, folder)) as running:
        _handled(world, running, 1)
        first = provider.given.count(name)
        until("tokens renewed", lambda: provider.given.count(name) >= 3 * first)
        _handled(world, running, 2)
        provider.instead = 503
        until("a refusal", lambda: "Failed to acquire SASL OAUTHBEARER token" in running.log.read_text())
        provider.instead = None
        _handled(world, running, 3)
        provider.clients[f"{name}-too"] = "another"
        del provider.clients[name]
        mount(folder, username=f"{name}-too", password="another\n")
        until("the change noticed", lambda: "the OAuth client changed" in running.log.read_text())
        _handled(world, running, 4)
        assert f"{name}-too" in provider.given
        assert "another" not in running.log.read_text()
        assert running.stop() == 0


async def test_the_operator_outlives_its_tokens_and_a_provider_that_is_away(
    broker: KafkaBroker, provider: TokenProvider, tmp_path: Path
) -> None:
    """What the provider answers instead is told; a new secret is used; offsets take no client of a group's own."""
    world = make_world(broker, tmp_path)
    own = with_token(broker, provider, "operator")
    secrets, provider.life = dict(own.secrets), SHORT
    kafkas, resource = _operator(world, dataclasses.replace(own, secrets=secrets))
    with closing(kafkas):
        kafka = await kafkas.open(resource)
        provider.instead = 503
        assert isinstance(await refused(kafka.cluster, "answered 503"), Unreachable)
        provider.instead = None
        assert (await answered(kafka.cluster)).brokers == 1
        before, given = clients(), provider.given.count("operator")
        async with asyncio.timeout(PATIENCE):
            while provider.given.count("operator") < given + 2:
                assert await answered(lambda: kafka.committed(world.config.group, [(world.source, 0)])) == {}
                assert clients() <= before  # those of tests before may end meanwhile
                await asyncio.sleep(0.5)
        provider.clients["operator"] = "another"
        secrets["login"] = {"username": "operator", "password": "another"}
        async with asyncio.timeout(PATIENCE):
            later = kafka
            while later is kafka:
                await asyncio.sleep(0.5)
                later = await kafkas.open(resource)
        assert (await answered(later.cluster)).brokers == 1


def _handled(world: World, running: Running, number: int) -> None:
    """Let the process handle a record of each partition; where a connection was lost it may be handled again."""
    for partition in (0, 1):
        world.produce([(f"k{partition}", {"n": number})], partition=partition)
    until("all handled", lambda: len({(one.key, one.number) for one in world.taken()}) == 2 * number)
    until("all committed", lambda: sum(world.committed().values()) == 2 * number)
    assert running.process.poll() is None


def _operator(world: World, own: Login) -> tuple[Kafkas, Resource]:
    """Return what the operator reaches the Kafka of a Consumer by, with its rights."""
    topics, broker = world.config.topics, world.broker
    broker.allow(own.user, TOPIC, world.source, CREATE, DESCRIBE, CONFIGS)
    for topic in (topics.retry, topics.dead_letters, topics.resolutions):
        broker.allow(own.user, TOPIC, topic, CREATE, READ, CONFIGS, ALTER_CONFIGS, ALTER)
    broker.allow(own.user, GROUP, world.config.group, DESCRIBE)
    accepted = {"spec": own.spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return Kafkas(Shelf(own.secrets)), worlds.resource("KafkaConnection", "kafka", {}, status={"accepted": accepted})


def _handle(world: World, own: Login, commands: Login, folder: Path) -> None:
    """Handle three records, one of which is dead-lettered first and put back by the command."""
    _allow_pods(world, own.user)
    with consuming(world, _mounted(world, own, folder / "pods")) as running:
        for partition in (0, 1):
            world.produce([(f"k{partition}", {"n": partition})], partition=partition)
        world.produce([("buried", {"n": 2, "poison": True})], partition=1)
        world.dead_letters(1)
        until("all committed", lambda: world.committed() == {0: 1, 1: 2})
        _redrive(world, commands, folder / "command")
        until("all handled", lambda: len(world.effects()) == 3)
        assert running.stop() == 0


def _allow_workers(broker: KafkaBroker, own: Login, group: str) -> None:
    for topic in ("configs", "offsets", "status"):
        broker.allow(own.user, TOPIC, f"{group}.{topic}", CREATE, READ, WRITE, CONFIGS)
    broker.allow(own.user, GROUP, group, READ)


def _write_secrets(folder: Path, namespace: str, own: Login) -> None:
    """Give a worker in ``folder`` the Secrets of its login."""
    for name, keys in own.secrets.items():
        write_secret(folder, namespace, name, keys)


def _capture_one(broker: KafkaBroker, own: Login, database: Database) -> None:
    """Let the workers, with the rights that a Connector needs, bring a row of ``database`` into its topic."""
    prefix = f"shop.{database.name.replace('_', '-')}"
    broker.allow(own.user, TOPIC, prefix, CREATE, WRITE, pattern=ResourcePatternType.PREFIXED)
    broker.allow(own.user, TOPIC, f"__debezium-heartbeat.{prefix}", CREATE, WRITE)
    database.sql("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
    captured = database.capture({"tables": ["public.orders"]})
    assert len(captured.records("public.orders", 1)) == 1


def _allow_pods(world: World, user: str) -> None:
    topics, broker = world.config.topics, world.broker
    for topic, operations in ((world.source, [READ]), (topics.retry, [READ, WRITE]), (topics.dead_letters, [WRITE])):
        broker.allow(user, TOPIC, topic, *operations)
    broker.allow(user, GROUP, world.config.group, READ)


def _redrive(world: World, own: Login, folder: Path) -> None:
    """Put everything back by the command that the pod of an errand runs, which may do nothing before."""
    topics, broker = world.config.topics, world.broker
    (folder / "config.json").parent.mkdir()
    (folder / "config.json").write_text(contract.dump(_mounted(world, own, folder)))
    words = [sys.executable, "-c", "from headrace.cli import app; app()", "internal", "redrive"]
    environment = {**os.environ, "HEADRACE_CONFIG": str(folder / "config.json")}

    def ran() -> tuple[int, Any]:
        """Run it, again where Kafka does not answer in its time."""
        code: int = Exit.UNREACHABLE
        while code == Exit.UNREACHABLE:
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
            code = done.returncode
        return code, json.loads(done.stdout.splitlines()[-1])

    code, said = ran()
    assert code == Exit.FORBIDDEN, said
    for topic, operations in (
        (topics.dead_letters, [READ]),
        (topics.resolutions, [READ, WRITE]),
        (topics.retry, [WRITE]),
    ):
        broker.allow(own.user, TOPIC, topic, *operations)
    broker.allow(own.user, TOPIC, world.source, DESCRIBE)
    broker.allow(own.user, GROUP, "headrace.reader", DESCRIBE)
    broker.allow(own.user, TRANSACTION, redrive.transactional_id(world.config), WRITE)
    code, said = ran()
    assert code == 0, said


def _mounted(world: World, own: Login, folder: Path) -> contract.Config:
    """Return the contract of a Consumer, with what Kubernetes mounts for it in ``folder``."""
    spec = ConsumerSpec.model_validate(
        {
            "from": {"kafka": "kafka", "topics": [world.source]},
            "handler": {"python": {"function": "effects_handler:handle"}},
        }
    )
    resource = worlds.resource("Consumer", world.config.consumer, {})
    config = consumption.configuration(resource, spec, own.spec, "classic", [world.source], worlds.HOME)
    pods = consumption.Pods(replicas=1, started_with={})
    document = consumption.config_map(resource, config)
    made = consumption.manifests(resource, spec, own.spec, document, pods, worlds.SETTINGS)
    pod = next(one for one in made if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    sources = next(one for one in pod["volumes"] if one["name"] == "kafka")["projected"]["sources"]
    folder.mkdir(exist_ok=True)
    for secret in (source["secret"] for source in sources):
        for item in secret["items"]:
            (folder / item["path"]).write_text(own.secrets[secret["name"]][item["key"]])
    kafka = contract.Kafka.model_validate_json(
        config.kafka.model_dump_json().replace(contract.CREDENTIALS, str(folder))
    )
    return world.config.model_copy(update={"kafka": kafka})
