"""The source agent beside workers: its objects, what is declared to it, and that it is taken away."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_agent import declared
from headrace_operator.observed.kube import Children, Manifest, SecretSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConnectClusterWorld
from headrace_operator.plan import connectcluster
from headrace_operator.plan.actions import Apply, Plan, Remove
from tests.operator import worlds

ON = dataclasses.replace(worlds.CONNECT, spec={**worlds.CONNECT.spec, "agent": {"enabled": True}})
KEYS = frozenset({"username", "password"})
NAME = "main-agent"


def world(**changes: Any) -> ConnectClusterWorld:
    """Return a ConnectCluster with an agent that is not made yet."""
    seen = {"shop-db": SecretSeen(name="shop-db", keys=KEYS)}
    return worlds.connect_world(**{"resource": ON, "sources": seen, **changes})


def planned(seen: ConnectClusterWorld) -> Plan:
    """Return the plan."""
    return connectcluster.plan(seen, worlds.SETTINGS, worlds.NOW)


def made(plan: Plan) -> dict[str, Manifest]:
    """Return what is applied of the agent, by kind."""
    applied = [one.manifest for one in plan.actions if isinstance(one, Apply)]
    return {one["kind"]: one for one in applied if one["metadata"]["name"] == NAME}


def declaration(plan: Plan) -> declared.Declaration:
    """Return what is declared."""
    return declared.load(made(plan)["ConfigMap"]["data"]["sources.json"])


def settled(seen: ConnectClusterWorld) -> ConnectClusterWorld:
    """Return the world after its actions."""
    plan = planned(seen)
    return worlds.with_status(worlds.after_connect(seen, plan.actions), plan.status)


def connector(**changes: Any) -> Any:
    """Return the Connector with another spec or status."""
    return dataclasses.replace(worlds.CONNECTOR, **changes)


def test_one_restricted_pod_without_a_token_has_the_logins_as_files() -> None:
    plan = planned(world())
    pod = made(plan)["Deployment"]["spec"]["template"]["spec"]

    assert set(made(plan)) == {"ServiceAccount", "NetworkPolicy", "ConfigMap", "Deployment", "Service"}
    assert pod["automountServiceAccountToken"] is False
    assert made(plan)["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    (volume,) = [one for one in pod["volumes"] if one["name"] == "config"]
    assert volume["projected"]["sources"][1] == {
        "secret": {
            "name": "shop-db",
            "optional": True,
            "items": [
                {"key": "password", "path": "secrets/shop-db/password"},
                {"key": "username", "path": "secrets/shop-db/username"},
            ],
        }
    }
    assert made(plan)["NetworkPolicy"]["spec"]["podSelector"] == {
        "matchLabels": {"app.kubernetes.io/instance": "main", "headrace.dev/agent": "main"}
    }


def test_a_second_pass_plans_nothing_and_one_without_an_agent_takes_all_of_it_away() -> None:
    there = settled(world())
    off = dataclasses.replace(there.resource, spec=worlds.CONNECT.spec, generation=2)
    plan = planned(dataclasses.replace(there, resource=off))

    assert planned(there).actions == ()
    assert worlds.condition(planned(there), "AgentDeployed")["status"] == "True"
    assert planned(there).status["agentReady"] == "1/1"
    assert [type(one) for one in plan.actions] == [Remove] * 5
    assert worlds.condition(plan, "AgentDeployed") == {}


def test_a_pod_of_somebody_else_by_that_name_is_left_alone() -> None:
    theirs = {("Deployment", NAME): {"kind": "Deployment", "metadata": {"name": NAME, "uid": "x"}, "spec": {}}}
    plan = planned(world(agent=Children(objects=theirs)))

    assert made(plan) == {}
    assert worlds.condition(plan, "AgentDeployed")["reason"] == "NameTaken"
    off = dataclasses.replace(worlds.CONNECT, status={"agentReady": "0/1"})
    assert not [
        one for one in planned(world(resource=off, agent=Children(objects=theirs))).actions if isinstance(one, Remove)
    ]


def test_what_is_not_known_changes_nothing() -> None:
    for unknown in ({"agent": Unknown(reason="no")}, {"sources": {"shop-db": Unknown(reason="no")}}):
        assert made(planned(world(**unknown))) == {}


def test_a_publication_is_kept_once_the_database_was_seen_to_be_ready_for_it() -> None:
    """Before, a table without a key could be published, and its application's updates fail."""
    new, ready = connector(), connector(status={"preparedGeneration": 1})
    accepted = {"accepted": {"generation": 1, "spec": worlds.CONNECTOR.spec}}
    edited = {**worlds.CONNECTOR.spec, "capture": {"tables": ["public.a"]}, "connect": "main"}
    tables = {"accepted": {"generation": 1, "spec": edited}}
    more = {**edited, "capture": {"tables": ["public.a", "public.b"]}}
    states = [
        declaration(planned(world(connectors=(one,)))).sources[0].publication.state
        for one in (new, ready, connector(status=accepted), connector(spec=more, generation=2, status=tables))
    ]

    assert states == ["LookedAt", "Kept", "Kept", "LookedAt"]
    added = connector(spec=more, generation=2, status=tables | {"preparedGeneration": 2})
    source = declaration(planned(world(connectors=(added,)))).sources[0]
    assert source.publication.state == "Kept"
    assert source.publication.operations == ("insert", "update", "delete")
    assert source.tables == ("public.a", "public.b")


def test_a_publication_of_the_users_own_is_only_looked_at() -> None:
    postgres = {**worlds.CONNECTOR.spec["postgres"], "publication": "mine"}
    own = connector(spec={**worlds.CONNECTOR.spec, "postgres": postgres}, status={"preparedGeneration": 1})
    publication = declaration(planned(world(connectors=(own,)))).sources[0].publication

    assert (publication.name, publication.state) == ("mine", "LookedAt")


def test_an_edit_of_the_address_is_looked_at_beside_what_runs() -> None:
    status = {"accepted": {"generation": 1, "spec": worlds.CONNECTOR.spec}}
    moved = {**worlds.CONNECTOR.spec, "postgres": {**worlds.CONNECTOR.spec["postgres"], "host": "new-db"}}
    found = declaration(planned(world(connectors=(connector(spec=moved, generation=2, status=status),)))).sources

    assert [(one.host, one.publication.state, one.heartbeat is None) for one in found] == [
        ("new-db", "LookedAt", True),
        ("shop-db", "Kept", False),
    ]
    assert found[1].name == "orders-db"


def test_a_secret_goes_only_where_it_may() -> None:
    elsewhere = {"shop-db": SecretSeen(name="shop-db", keys=KEYS, hosts=("other:5432",))}
    plan = planned(world(sources=elsewhere))

    assert declaration(plan).sources == ()
    assert "shop-db" not in str(made(plan)["Deployment"])


@pytest.mark.case("databases-18")
@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({}, "prefer"),
        ({"database.sslmode": "allow"}, "prefer"),
        ({"database.sslmode": "verify-full"}, "verify-full"),
        ({"database.sslmode": "Verify-Full"}, "verify-full"),
        ({"driver.sslmode": "verify-ca"}, "verify-ca"),
        ({"database.sslmode": "require", "driver.sslmode": "disable"}, "require"),
    ],
)
def test_the_agent_verifies_the_database_as_the_driver_does(config: dict[str, str], mode: str) -> None:
    odd = connector(spec={**worlds.CONNECTOR.spec, "config": {**config, "driver.sslrootcert": "/opt/ca.crt"}})
    (one,) = declaration(planned(world(connectors=(odd,)))).sources

    assert (one.tls.mode, one.tls.ca_file) == (mode, "/opt/ca.crt")


def test_what_cannot_be_followed_is_not_declared() -> None:
    for config in ({"database.user": "plain"}, {"database.hostname": "a:5433,b:5434"}, {"database.sslmode": "verify"}):
        odd = connector(spec={**worlds.CONNECTOR.spec, "config": config})
        assert declaration(planned(world(connectors=(odd,)))).sources == ()
