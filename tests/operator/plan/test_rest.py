"""A REST interface of workers that is protected: what they are given for it, and what they wait for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import ValidationError

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.observed.kube import Manifest, Resource, SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import Secrets
from headrace_operator.plan import connectcluster, connector, inputs, names, rest
from headrace_operator.plan.actions import Apply, Plan, PutConnector, RemoveConnector
from tests.operator import worlds

pytestmark = pytest.mark.case("clusters-18")

TLS: dict[str, Any] = {"tls": {"secret": "certificate"}}
LOGIN: dict[str, Any] = {**TLS, "auth": {"credentials": {"secret": "login", "passwordKey": "pass"}}}
SECRETS: Secrets = {
    "certificate": SecretSeen(name="certificate", keys=frozenset({"tls.crt", "tls.key", "ca.crt"})),
    "login": SecretSeen(name="login", keys=frozenset({"username", "pass"})),
}


def cluster(protected: dict[str, Any] | None, **more: Any) -> Resource:
    spec = {**worlds.CONNECT.spec, **({"rest": protected} if protected else {})}
    return worlds.resource("ConnectCluster", "main", spec, **more)


def plan(protected: dict[str, Any] | None, secrets: Secrets = SECRETS, **more: Any) -> Plan:
    world = worlds.connect_world(resource=cluster(protected), secrets=secrets, **more)
    return connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)


def made(found: Plan, kind: str) -> Manifest:
    (one,) = [
        action.manifest for action in found.actions if isinstance(action, Apply) and action.manifest["kind"] == kind
    ]
    return one


def worker(found: Plan) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return pod, container and properties of the workers."""
    pod = made(found, "Deployment")["spec"]["template"]["spec"]
    lines = made(found, "ConfigMap")["data"]["worker.properties"].splitlines()
    return pod, pod["containers"][0], dict(line.split("=", 1) for line in lines)


def test_it_is_plain_http_unless_asked_for() -> None:
    found = plan(None)
    pod, container, properties = worker(found)

    assert properties["listeners"] == "HTTP://:8083"
    assert not [name for name in properties if name.startswith(("listeners.", "rest."))]
    assert pod["volumes"][0] == {"name": "config", "configMap": {"name": made(found, "ConfigMap")["metadata"]["name"]}}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "rest"}


@pytest.mark.parametrize(
    ("protected", "mounted"),
    [
        (TLS, ["rest/tls.crt", "rest/tls.key", "rest/ca.crt"]),
        (LOGIN, ["rest/tls.crt", "rest/tls.key", "rest/ca.crt", "rest/username", "rest/password"]),
    ],
)
def test_workers_are_given_what_it_is_protected_by(protected: dict[str, Any], mounted: list[str]) -> None:
    found = plan(protected)
    pod, container, properties = worker(found)

    assert properties["listeners"] == "HTTPS://:8083"
    sources = pod["volumes"][0]["projected"]["sources"]
    assert sources[0] == {"configMap": {"name": made(found, "ConfigMap")["metadata"]["name"]}}
    assert [item["path"] for source in sources[1:] for item in source["secret"]["items"]] == mounted
    assert {"name": "HEADRACE_REST_DOMAIN", "value": "main-connect.shop.svc"} in container["env"]


def test_who_is_asked_for_a_login_is_probed_without_one() -> None:
    tls, login = (worker(plan(protected))[1] for protected in (TLS, LOGIN))

    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert tls[name]["httpGet"]["scheme"] == "HTTPS"
        assert tls[name]["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "main-connect.shop.svc"}]
        assert login[name]["tcpSocket"] == {"port": "rest"}
        assert "httpGet" not in login[name]


def test_a_login_is_sent_over_tls_alone() -> None:
    with pytest.raises(ValidationError):
        ConnectClusterSpec.model_validate({**worlds.CONNECT.spec, "rest": {"auth": LOGIN["auth"]}})


@pytest.mark.parametrize(("protocol", "well"), [("compatible", False), ("eager", False), ("sessioned", True)])
def test_with_a_login_workers_take_no_task_that_is_not_signed(protocol: str, well: bool) -> None:
    config = {"workers": {"config": {"connect.protocol": protocol}}}
    for protected, accepted in ((LOGIN, well), (TLS, True)):
        spec = {**worlds.CONNECT.spec, **config, "rest": protected}
        world = worlds.protected_world(spec)
        found = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)

        assert bool(found.actions) == accepted
        assert ("connect.protocol" in worlds.condition(found, "Accepted")["message"]) != accepted


@pytest.mark.parametrize(
    ("secrets", "reason", "named"),
    [
        ({**SECRETS, "certificate": Absent()}, "SecretNotFound", "certificate"),
        ({**SECRETS, "login": SecretSeen(name="login", keys=frozenset({"username"}))}, "SecretKeyMissing", "pass"),
        ({**SECRETS, "login": Unknown(reason="no answer")}, "Unknown", "no answer"),
    ],
)
def test_no_worker_starts_before_its_secrets_were_seen(secrets: Secrets, reason: str, named: str) -> None:
    found = plan(LOGIN, secrets)

    assert found.actions == ()
    deployed = worlds.condition(found, "Deployed")
    assert deployed["reason"] == reason
    assert named in deployed["message"]


@pytest.mark.parametrize(
    ("hosts", "well"), [(("main-connect.shop.svc",), True), (("elsewhere:8083",), False), ((), False)]
)
@pytest.mark.parametrize("name", ["certificate", "login"])
def test_a_secret_says_whether_it_may_go_there(name: str, hosts: tuple[str, ...], well: bool) -> None:
    seen = SECRETS[name]
    assert isinstance(seen, SecretSeen)
    found = plan(LOGIN, {**SECRETS, name: dataclasses.replace(seen, hosts=hosts)})

    assert (worlds.condition(found, "Accepted")["reason"] == "Accepted") == well
    assert bool(found.actions) == well


def test_a_new_certificate_replaces_workers_and_a_new_login_does_not() -> None:
    assert inputs.of_workers(cluster(LOGIN).spec, None) == {("Secret", "certificate")}


def test_connectors_are_put_and_removed_where_their_workers_are() -> None:
    """By the accepted spec, whatever is written."""
    accepted = {"accepted": {"generation": 1, "spec": cluster(TLS).spec}}
    world = worlds.connector_world(connect=cluster(None, status=accepted))
    put = connector.plan(world, worlds.SETTINGS, worlds.NOW).actions

    assert [one.url for one in put if isinstance(one, PutConnector)] == ["https://main-connect.shop.svc:8083"]
    assert rest.url(cluster(None)) == "http://main-connect.shop.svc:8083"


def test_what_is_nobodys_is_removed_there_too() -> None:
    name = names.connector("shop", "gone")
    first = worlds.connect_world(resource=cluster(TLS), secrets=SECRETS, **worlds.lost(name))
    world = worlds.after_connect(first, connectcluster.plan(first, worlds.SETTINGS, worlds.NOW).actions)
    found = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)

    removals = [one.url for one in found.actions if isinstance(one, RemoveConnector)]
    assert removals == ["https://main-connect.shop.svc:8083"]


@pytest.mark.parametrize(
    ("ip", "name"),
    [("10.1.2.3", "10-1-2-3.main-connect.shop.svc"), ("fd00::12", "fd00--12.main-connect.shop.svc")],
)
def test_a_worker_is_known_by_the_name_of_its_address(ip: str, name: str) -> None:
    assert rest.host(cluster(TLS), ip) == name
    assert rest.host(cluster(None), ip) == ip
