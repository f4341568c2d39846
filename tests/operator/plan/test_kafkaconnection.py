"""Plans of a KafkaConnection: which spec others may use, and which raw properties it may hold."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import config as contract
from headrace_operator.api.kafkaconnection import accepted
from headrace_operator.observed.kafka import ClusterSeen
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import KafkaConnectionWorld
from headrace_operator.plan import connectcluster, consumer, kafkaconnection
from headrace_operator.plan.actions import Apply, Plan
from tests.operator import worlds
from tests.operator.worlds import condition

SERVERS = {"bootstrapServers": "kafka:9092"}
EVIL = {**SERVERS, "properties": {"client.rack": "a", "plugin.library.paths": "/tmp/evil"}}


def connection(spec: dict[str, Any], last: dict[str, Any] | None = None) -> Resource:
    """Return a KafkaConnection of generation 2, whose spec ``last`` was accepted as generation 1."""
    status = {"accepted": {"generation": 1, "spec": last}} if last else {}
    return worlds.resource("KafkaConnection", "kafka", spec, generation=2, status=status)


def planned(resource: Resource) -> Plan:
    seen = ClusterSeen(cluster_id="k", brokers=1)
    world = KafkaConnectionWorld(resource=resource, secrets={}, cluster=seen)
    return kafkaconnection.plan(world, worlds.SETTINGS, worlds.NOW)


@pytest.mark.parametrize(
    "name",
    [
        "plugin.library.paths",
        "bootstrap.servers",
        "metadata.broker.list",
        "ssl.ca.location",
        "ssl.key.location",
        "ssl.engine.location",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.kerberos.kinit.cmd",
        "sasl.password",
        "debug",
        "group.id",
        "isolation.level",
        "enable.auto.commit",
        "security.protocol",
    ],
)
def test_a_property_that_does_more_than_tune_is_refused_by_name(name: str) -> None:
    plan = planned(connection({**SERVERS, "properties": {"linger.ms": "5", name: "x"}}))

    found = condition(plan, "Accepted")
    assert (found["status"], found["reason"]) == ("False", "PropertyNotAllowed")
    assert f"spec.properties.{name} " in found["message"]
    assert "remove it" in found["message"]
    assert plan.status["accepted"] is None
    assert condition(plan, "Stalled")["status"] == "True"
    assert condition(plan, "Reachable")["status"] == "Unknown"


def test_properties_that_tune_are_accepted_and_reach_the_consumers() -> None:
    spec = {**SERVERS, "properties": {"client.rack": "a", "linger.ms": "20"}}
    assert planned(connection(spec)).status["accepted"] == {"generation": 2, "spec": spec}

    assert _contract(connection(spec, spec)).kafka.properties == {"client.rack": "a", "linger.ms": "20"}


def test_a_bad_edit_leaves_the_accepted_spec_to_others() -> None:
    edited = connection({**EVIL, "bootstrapServers": "elsewhere:9092"}, SERVERS)

    assert planned(edited).status["accepted"]["spec"] == SERVERS
    assert kafkaconnection.unaccepted(edited) is None
    assert _contract(edited).kafka.bootstrap_servers == "kafka:9092"


def test_what_was_accepted_before_the_rule_is_used_without_it() -> None:
    """An older release accepted any property: what does more than tune goes no further."""
    assert _contract(connection(EVIL, EVIL)).kafka.properties == {"client.rack": "a"}
    assert condition(planned(connection(EVIL, EVIL)), "Accepted")["reason"] == "PropertyNotAllowed"


@pytest.mark.parametrize(
    ("spec", "words"), [(EVIL, "plugin.library.paths"), (SERVERS, "not looked at it yet"), ({}, "bootstrapServers")]
)
def test_a_spec_that_was_never_accepted_is_used_by_nobody(spec: dict[str, Any], words: str) -> None:
    resource = connection(spec)
    why = kafkaconnection.unaccepted(resource)

    assert accepted(resource.status) is None
    assert why is not None
    assert "KafkaConnection kafka is not accepted" in why
    assert words in why
    unused = Unknown(reason=why)
    reader = consumer.plan(
        worlds.consumer_world(kafka=unused, topics=unused, backlog=unused), worlds.SETTINGS, worlds.NOW
    )
    workers = connectcluster.plan(worlds.connect_world(kafka=unused), worlds.SETTINGS, worlds.NOW)
    assert (reader.actions, workers.actions) == ((), ())
    assert condition(reader, "TopicsReady")["message"] == why
    assert condition(workers, "KafkaKnown")["message"] == why


def test_even_a_world_that_names_it_makes_nothing_of_it() -> None:
    plan = consumer.plan(worlds.consumer_world(kafka=connection(SERVERS)), worlds.SETTINGS, worlds.NOW)

    assert not [action for action in plan.actions if isinstance(action, Apply)]


def _contract(kafka: Resource) -> contract.Config:
    plan = consumer.plan(worlds.consumer_world(kafka=kafka), worlds.SETTINGS, worlds.NOW)
    made = next(a.manifest for a in plan.actions if isinstance(a, Apply) and a.manifest["kind"] == "ConfigMap")
    return contract.load(made["data"]["config.json"])


@pytest.mark.parametrize("missing", ["username", "password", "ca.crt", "tls.crt", "tls.key"])
def test_a_secret_without_a_key_is_said_as_such(missing: str) -> None:
    """It was said of the Kafka: `KafkaUnreachable`, which nobody had asked."""
    sasl = {"mechanism": "PLAIN", "credentials": {"secret": "login"}}
    tls = {"ca": {"secret": "login", "key": "ca.crt"}, "certificate": {"secret": "login"}}
    spec = {**SERVERS, "sasl": sasl, "tls": tls}
    keys = frozenset({"username", "password", "ca.crt", "tls.crt", "tls.key"} - {missing})
    world = KafkaConnectionWorld(
        resource=connection(spec),
        secrets={"login": SecretSeen(name="login", keys=keys)},
        cluster=Unknown(reason="not asked"),
    )

    found = condition(kafkaconnection.plan(world, worlds.SETTINGS, worlds.NOW), "Reachable")

    assert (found["status"], found["reason"]) == ("False", "SecretKeyMissing")
    assert f"no key {missing}" in found["message"]
