"""A Secret whose owner says where it may go is sent nowhere else: not by the operator, nor by a pod of ours."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api import hosts
from headrace_operator.observed.connect import ConnectorSeen, TaskSeen
from headrace_operator.observed.kafka import ClusterSeen
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectorWorld, ConsumerWorld, KafkaConnectionWorld, Secrets
from headrace_operator.plan import connectcluster, connector, consumer, debezium, kafkaconnection, marks
from headrace_operator.plan.actions import Apply, Plan, PutConnector
from tests.operator import worlds

pytestmark = pytest.mark.case("clusters-15")

KEYS = frozenset({"username", "password", "ca.crt"})
POSTGRES = worlds.CONNECTOR.spec["postgres"]
SASL = {"mechanism": "PLAIN", "credentials": {"secret": "login"}}
KAFKA = {"bootstrapServers": "kafka.kafka:9092", "sasl": SASL}
RAW = {"signal.consumer.sasl.jaas.config": "${secrets:shop/mine:password}", "signal.kafka.bootstrap.servers": "k:9092"}
REDIS = {"url": "rediss://redis:6379/0", "credentials": {"secret": "mine"}, "ca": {"secret": "mine", "key": "ca.crt"}}


def seen(said: str | None, *names: str) -> Secrets:
    """Return Secrets whose annotation says so."""
    allowed = hosts.read(None if said is None else {"headrace.dev/hosts": said})
    return {name: SecretSeen(name=name, keys=KEYS, hosts=allowed) for name in names}


@pytest.mark.parametrize(
    ("said", "addresses", "elsewhere"),
    [
        (None, ["evil:1"], None),
        ("", ["db:5432"], "db:5432"),
        (" , ", ["db"], "db"),
        ("db", ["db:5432"], None),
        ("DB.example.", ["db.Example:5432"], None),
        ("db:5432, other", ["db:5432,other:1"], None),
        ("db:5432", ["db:5433"], "db:5433"),
        ("db:5432", ["db"], "db"),
        ("db", ["db:5432,evil:5432"], "evil:5432"),
        ("db", ["db.evil"], "db.evil"),
        ("*.example.com", ["a.b.example.com:1"], None),
        ("*.example.com", ["example.com"], "example.com"),
        ("*.example.com", ["evil-example.com"], "evil-example.com"),
        ("*", ["db"], "db"),
        ("kafka:9092", ["SASL_SSL://kafka:9092"], None),
        ("redis", ["rediss://redis:6379/0"], None),
        ("[2001:db8::1]:5432", ["[2001:DB8::1]:5432"], None),
        ("2001:db8::1", ["[2001:db8::1]:5432"], None),
        ("db", ["db/x?host=evil"], "db/x?host=evil"),
        ("db", ["db\n,evil"], "evil"),
        ("db", ["db@evil"], "db@evil"),
        ("db", ["db#"], "db#"),
        ("db", [""], ""),
    ],
)
def test_only_what_the_annotation_says_is_allowed(
    said: str | None, addresses: list[str], elsewhere: str | None
) -> None:
    """What is no plain address is none of those."""
    allowed = hosts.read(None if said is None else {"headrace.dev/hosts": said, "other": "*"})

    assert hosts.outside(addresses, allowed) == elsewhere


def kafka(spec: dict[str, Any], secrets: Secrets, accepted: dict[str, Any] | None = None) -> KafkaConnectionWorld:
    status = {"accepted": {"generation": 1, "spec": accepted}} if accepted else {}
    resource = worlds.resource("KafkaConnection", "kafka", spec, status=status, generation=2)
    return KafkaConnectionWorld(resource=resource, secrets=secrets, cluster=ClusterSeen(cluster_id="a", brokers=1))


def recorded(world: KafkaConnectionWorld) -> tuple[Any, dict[str, Any]]:
    """Return which spec others may use after a pass, and the condition `Accepted`."""
    plan = kafkaconnection.plan(world, worlds.SETTINGS, worlds.NOW)
    accepted = plan.status["accepted"]
    used = kafkaconnection.in_force(world.resource, world.secrets).status["accepted"]
    assert used is None or (used["spec"] == (accepted or used)["spec"])
    return accepted and accepted["spec"], worlds.condition(plan, "Accepted")


@pytest.mark.parametrize("servers", ["evil:9092", "kafka.kafka:9092,evil:9092", "kafka.kafka:9093"])
@pytest.mark.parametrize(
    "named",
    [
        {"sasl": SASL},
        {"tls": {"ca": {"secret": "login", "key": "ca.crt"}}},
        {"tls": {"certificate": {"secret": "login"}}},
    ],
)
def test_a_kafka_elsewhere_is_not_accepted(servers: str, named: dict[str, Any]) -> None:
    """So neither the operator, nor workers, nor consumers log in there; what was accepted before stays in force."""
    spec, secrets = {"bootstrapServers": servers, **named}, seen("kafka.kafka:9092", "login")
    new, edited = recorded(kafka(spec, secrets)), recorded(kafka(spec, secrets, accepted=KAFKA))

    assert new[0] is None
    assert edited[0] == KAFKA
    for _, found in (new, edited):
        assert (found["status"], found["reason"]) == ("False", "HostNotAllowed")
        assert "Secret login may be sent to kafka.kafka:9092 only" in found["message"]
    assert recorded(kafka(KAFKA, secrets))[0] == KAFKA


@pytest.mark.parametrize(("said", "is_allowed"), [("kafka.kafka:9092", False), ("id", False), ("kafka.kafka id", True)])
def test_tokens_come_from_where_the_secret_may_go(said: str, is_allowed: bool) -> None:
    """And are shown where it may go: who has a token has what the Secret is for."""
    oauth = {"tokenEndpoint": "https://id/token"}
    spec = {"bootstrapServers": "kafka.kafka:9092", "sasl": {**SASL, "mechanism": "OAUTHBEARER", "oauth": oauth}}
    accepted, found = recorded(kafka(spec, seen(said, "login")))

    assert (accepted == spec, found["status"] == "True") == (is_allowed, is_allowed)


def test_a_kafka_that_a_secret_forbids_afterwards_is_used_no_more() -> None:
    spec, found = recorded(kafka(KAFKA, seen("other:9092", "login"), accepted=KAFKA))

    assert spec is None
    assert found["reason"] == "HostNotAllowed"


@pytest.mark.parametrize("secret", [Absent(), Unknown(reason="no answer")])
def test_a_kafka_whose_secret_was_not_seen_is_not_used_yet(secret: Absent | Unknown) -> None:
    """It may say where it may go once it is there; the one used before stays."""
    world = kafka({**KAFKA, "bootstrapServers": "evil:9092"}, {"login": secret})

    assert recorded(world)[0] is None
    assert recorded(dataclasses.replace(world, resource=kafka(KAFKA, {}, accepted=KAFKA).resource))[0] == KAFKA


def capturing(secrets: Secrets, **changes: Any) -> ConnectorWorld:
    return worlds.connector_world(
        resource=worlds.resource("Connector", "orders-db", {**worlds.CONNECTOR.spec, **changes}), secrets=secrets
    )


MINE: dict[str, Any] = {"postgres": {**POSTGRES, "credentials": {"secret": "mine"}}}


@pytest.mark.parametrize(
    "change",
    [
        {"postgres": {**POSTGRES, "host": "evil", "credentials": {"secret": "mine"}}},
        {"postgres": {**POSTGRES, "host": "shop-db,evil", "credentials": {"secret": "mine"}}},
        {"postgres": {**POSTGRES, "host": "shop-db,evil:5432", "credentials": {"secret": "mine"}}},
        {"postgres": {**POSTGRES, "port": 5433, "credentials": {"secret": "mine"}}},
        {**MINE, "config": {"database.hostname": "evil"}},
        {**MINE, "config": {"database.port": "5433"}},
        {"config": {"database.hostname": "evil", "database.password": "${secrets:shop/mine:password}"}},
        {"config": RAW},
        {"config": {**RAW, "signal.kafka.bootstrap.servers": "shop-db:5432,evil:1"}},
        {
            "config": {
                **RAW,
                "signal.kafka.bootstrap.servers": "shop-db:5432",
                "signal.consumer.bootstrap.servers": "evil",
            }
        },
        {**MINE, "config": {"signal.consumer.sasl.oauthbearer.token.endpoint.url": "https://evil/token"}},
    ],
)
def test_a_database_elsewhere_is_not_accepted(change: dict[str, Any]) -> None:
    """Whichever property says the address, and whichever names the Secret; Kafka Connect is told nothing."""
    secrets = {**seen("shop-db:5432", "mine"), **seen(None, "shop-db")}
    world = capturing(secrets, **change)
    plan = connector.plan(world, worlds.SETTINGS, worlds.NOW)
    anywhere = connector.plan(capturing(seen(None, "mine", "shop-db"), **change), worlds.SETTINGS, worlds.NOW)

    assert connector.wanted(world.resource, worlds.HOME, (), secrets) is None
    assert plan.actions == ()
    assert worlds.condition(plan, "Accepted")["reason"] == "HostNotAllowed"
    assert [action for action in anywhere.actions if isinstance(action, PutConnector)]


def test_addresses_that_are_allowed_are_accepted() -> None:
    signals = {
        "signal.kafka.bootstrap.servers": "k:9092",
        "signal.consumer.sasl.oauthbearer.token.endpoint.url": "https://id/token",
    }
    secrets = seen("shop-db:5432 k id", "mine")
    plan = connector.plan(capturing(secrets, **MINE, config=signals), worlds.SETTINGS, worlds.NOW)

    assert [action for action in plan.actions if isinstance(action, PutConnector)]


def test_what_runs_is_neither_changed_nor_restarted_with_a_secret_that_forbids_it() -> None:
    """Its record stays, as slot and topics hang on it."""
    world = capturing(seen("other", "mine"), **MINE)
    status = {
        "observedGeneration": 1,
        "accepted": {"generation": 1, "spec": world.resource.spec},
        "restarts": {"attempts": 1, "nextTime": "2026-01-02T03:03:00Z"},
    }
    resource = dataclasses.replace(world.resource, status=status)
    spec = connector.judge(resource).spec
    assert spec is not None
    live = ConnectorSeen(
        name="shop.orders-db", state="RUNNING",
        config=debezium.configuration(resource, spec) | marks.mark(resource, worlds.HOME),
        tasks=(TaskSeen(id=0, state="FAILED", worker=None, trace="away"),), offsets=(), topics=(), trace=None,
    )  # fmt: skip
    runs = dataclasses.replace(world, resource=resource, seen=live, validation=None)
    plan = connector.plan(runs, worlds.SETTINGS, worlds.NOW)
    anywhere = connector.plan(dataclasses.replace(runs, secrets=seen(None, "mine")), worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert plan.status["accepted"] == status["accepted"]
    assert worlds.condition(plan, "Accepted")["reason"] == "HostNotAllowed"
    assert anywhere.actions


def test_workers_may_not_read_what_a_connectors_own_pass_refused() -> None:
    """An edit makes it judged anew."""
    refused = connector.plan(capturing(seen("other", "mine"), **MINE), worlds.SETTINGS, worlds.NOW)
    resource = worlds.resource("Connector", "a", {**worlds.CONNECTOR.spec, **MINE}, status=refused.status)

    assert readable(resource) == set()
    assert readable(dataclasses.replace(resource, generation=2)) == {"mine"}


def readable(*connectors: Resource) -> set[str]:
    plan = connectcluster.plan(worlds.connect_world(connectors=connectors), worlds.SETTINGS, worlds.NOW)
    (role,) = [a.manifest for a in plan.actions if isinstance(a, Apply) and a.manifest["kind"] == "Role"]
    return {name for rule in role["rules"] for name in rule["resourceNames"]}


def remembering(secrets: Secrets, **redis: Any) -> ConsumerWorld:
    spec = {**worlds.CONSUMER.spec, "delivery": {"deduplication": {"redis": {**REDIS, **redis}}}}
    return worlds.consumer_world(resource=worlds.resource("Consumer", "billing", spec), secrets=secrets)


@pytest.mark.parametrize("url", ["rediss://evil:6379/0", "rediss://redis:1/0"])
def test_a_store_elsewhere_is_not_accepted(url: str) -> None:
    refused = consumer.plan(remembering(seen("redis:6379", "mine"), url=url), worlds.SETTINGS, worlds.NOW)
    well = consumer.plan(remembering(seen("redis:6379", "mine")), worlds.SETTINGS, worlds.NOW)

    assert refused.actions == ()
    assert worlds.condition(refused, "Accepted")["reason"] == "HostNotAllowed"
    assert [action for action in well.actions if isinstance(action, Apply)]


@pytest.mark.parametrize(("secret", "reason"), [(Absent(), "SecretNotFound"), (Unknown(reason="no answer"), "Unknown")])
def test_pods_are_given_no_secret_that_was_not_seen(secret: Absent | Unknown, reason: str) -> None:
    """It would be mounted, and sent, the moment it is made, whatever it says."""
    plan = consumer.plan(remembering({"mine": secret}), worlds.SETTINGS, worlds.NOW)

    assert not [action for action in plan.actions if isinstance(action, Apply)]
    assert worlds.condition(plan, "Deployed")["reason"] == reason


@pytest.mark.parametrize(
    ("redis", "keys", "lacks"),
    [
        ({}, {"password", "ca.crt"}, None),
        ({}, {"username", "ca.crt"}, "password"),
        ({"credentials": {"secret": "mine", "passwordKey": "secret"}}, {"password", "ca.crt"}, "secret"),
        ({"ca": {"secret": "mine", "key": "root.crt"}}, {"password", "ca.crt"}, "root.crt"),
    ],
)
def test_a_key_that_pods_would_wait_for_is_named(redis: dict[str, Any], keys: set[str], lacks: str | None) -> None:
    """The kubelet does not start a pod without it, and says so in an Event alone."""
    secret = SecretSeen(name="mine", keys=frozenset(keys), hosts=None)
    plan = consumer.plan(remembering({"mine": secret}, **redis), worlds.SETTINGS, worlds.NOW)
    found = worlds.condition(plan, "Deployed")

    assert [action for action in plan.actions if isinstance(action, Apply)] == [] or lacks is None
    assert (found["reason"] == "SecretKeyMissing") == (lacks is not None)
    assert lacks is None or f"Secret mine has no key {lacks}: " in found["message"]


TEMPLATES: tuple[dict[str, Any], ...] = (
    {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "a"}}}]},
    {"volumes": [{"name": "a", "projected": {"sources": [{"secret": {"name": "mine"}}]}}]},
    {"initContainers": [{"name": "a", "image": "b", "envFrom": [{"secretRef": {"name": "mine"}}]}]},
    {"imagePullSecrets": [{"name": "mine"}]},
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_code_is_given_no_secret_that_may_not_go_anywhere(template: dict[str, Any]) -> None:
    resource = worlds.resource("Consumer", "billing", {**worlds.CONSUMER.spec, "template": template})
    refused, well = (
        consumer.plan(worlds.consumer_world(resource=resource, secrets=secrets), worlds.SETTINGS, worlds.NOW)
        for secrets in (seen("redis", "mine"), seen(None, "mine"))
    )

    assert refused.actions == ()
    assert worlds.condition(refused, "Accepted")["reason"] == "HostNotAllowed"
    assert [action for action in well.actions if isinstance(action, Apply)]


def working(template: dict[str, Any], secrets: Secrets, accepted: dict[str, Any] | None = None) -> Plan:
    """Return the plan of a ConnectCluster whose workers are given this."""
    spec = {"kafka": "kafka", "workers": {"template": template}}
    status = {"accepted": {"generation": 1, "spec": accepted or spec}} if accepted is not None else {}
    resource = worlds.resource("ConnectCluster", "main", spec, status=status)
    return connectcluster.plan(worlds.connect_world(resource=resource, secrets=secrets), worlds.SETTINGS, worlds.NOW)


@pytest.mark.parametrize("template", TEMPLATES)
def test_nor_are_plug_ins_of_workers(template: dict[str, Any]) -> None:
    refused, well = (working(template, seen(said, "mine")) for said in ("kafka:9092", None))

    assert refused.actions == ()
    found = worlds.condition(refused, "Accepted")
    assert found["reason"] == "HostNotAllowed"
    assert "spec.workers.template would give Secret mine to code" in found["message"]
    assert [action for action in well.actions if isinstance(action, Apply)]


def test_workers_that_run_by_what_a_secret_forbids_afterwards_are_left_as_they_are() -> None:
    plan = working(TEMPLATES[0], seen("kafka:9092", "mine"), accepted={})

    assert plan.actions == ()
    assert plan.status["accepted"]["spec"]["workers"] == {"template": TEMPLATES[0]}


def test_workers_of_the_accepted_spec_stay_while_an_edit_names_such_a_secret() -> None:
    plan = working(TEMPLATES[0], seen("kafka:9092", "mine"), accepted=dict(worlds.CONNECT.spec))

    (made,) = [a.manifest for a in plan.actions if isinstance(a, Apply) and a.manifest["kind"] == "Deployment"]
    assert "mine" not in str(made)
    assert worlds.condition(plan, "Accepted")["reason"] == "HostNotAllowed"
