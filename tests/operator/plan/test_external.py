"""A Kafka Connect that others run: what is made for it, what it must be able to do, and how it is told of Secrets."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import ValidationError

from headrace_operator.api import secret_reference
from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.external import External
from headrace_operator.observed.connect import ConnectorSeen, PluginSeen, WorkersSeen
from headrace_operator.observed.kube import Children, Resource, SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectClusterWorld
from headrace_operator.plan import connectcluster, connector, declared, needs, rest
from headrace_operator.plan.actions import Apply, Plan, PutConnector, RemoveConnector
from tests.operator import worlds
from tests.operator.worlds import condition

REFERENCE = "${directory:/opt/secrets/{name}:{key}}"
URL = "https://connect.example:8443"
SPEC: dict[str, Any] = {"kafka": "kafka", "external": {"url": URL, "secretReference": REFERENCE}}
DEBEZIUM = "io.debezium.connector.postgresql.PostgresConnector"
OURS = ("OutboxRouter", "PlainConverter")
PLUGINS = [{"class": DEBEZIUM, "version": "3.6.1.Final"}] + [
    {"class": f"dev.headrace.connect.debezium.{one}", "version": "1"} for one in OURS
]
KAFKA = dataclasses.replace(worlds.KAFKA, status={**worlds.KAFKA.status, "clusterId": "k"})


def workers(version: str = "4.3.1", kafka: str = "k", *connectors: ConnectorSeen) -> WorkersSeen:
    plugins = (
        PluginSeen(class_name=DEBEZIUM, version="3.6.1.Final", type="source"),
        PluginSeen(class_name="org.apache.kafka.connect.transforms.Filter", version="4.3.1", type="transformation"),
        PluginSeen(class_name="dev.headrace.connect.debezium.OutboxRouter", version="1", type="transformation"),
    )
    return WorkersSeen(
        version=version, kafka_cluster_id=kafka, plugins=plugins, connectors={one.name: one for one in connectors}
    )


def cluster(spec: dict[str, Any] = SPEC, name: str = "main", **status: Any) -> Resource:
    """Return a ConnectCluster that was accepted."""
    known = {"accepted": {"generation": 1, "spec": spec}, "plugins": PLUGINS, "version": "4.3.1"}
    return worlds.resource("ConnectCluster", name, spec, status={**known, **status})


def outside(**external: Any) -> dict[str, Any]:
    return {**SPEC, "external": {**SPEC["external"], **external}}


def world(spec: dict[str, Any] = SPEC, **more: Any) -> ConnectClusterWorld:
    return worlds.connect_world(**{"resource": cluster(spec), "kafka": KAFKA, "workers": workers(), **more})


def planned(seen: ConnectClusterWorld) -> Plan:
    return connectcluster.plan(seen, worlds.SETTINGS, worlds.NOW)


def put(found: Resource | Unknown, **more: Any) -> Plan:
    """Return the plan of a Connector of this ConnectCluster."""
    seen = worlds.connector_world(connect=found, readable=frozenset({"shop-db"}), **more)
    return connector.plan(seen, worlds.SETTINGS, worlds.NOW)


def test_nothing_is_made_for_it_and_it_is_ready_once_it_answers() -> None:
    found = planned(world())

    assert found.actions == ()
    assert condition(found, "Ready")["status"] == "True"
    assert [one["type"] for one in found.status["conditions"]][:1] == ["Ready"]
    assert not {"Deployed"} & {one["type"] for one in found.status["conditions"]}
    assert not {"group", "replicas", "replicasReady"} & set(found.status)
    assert [one["class"].rpartition(".")[2] for one in found.status["plugins"]] == ["PostgresConnector", "OutboxRouter"]


def test_one_that_does_not_answer_is_told_so() -> None:
    found = planned(world(workers=Unknown(reason="GET https://connect.example:8443/: no answer.")))

    assert condition(found, "Ready")["reason"] == "ConnectUnreachable"
    assert "connect.example" in condition(found, "Answering")["message"]


@pytest.mark.parametrize(
    ("version", "well"),
    [
        *(("4.3.1", True), ("3.7.0", True), ("3.6.2", False), ("2.8.1", False), ("3.10.0", True)),
        *(("7.7.0-ccs", True), ("7.6.1-ccs", False), ("8.0.0-ce", True), ("unknown", True), ("", True)),
    ],
)
def test_it_is_of_a_version_that_can_do_what_is_asked_of_it(version: str, well: bool) -> None:
    found = condition(planned(world(workers=workers(version))), "Answering")

    assert (found["status"] == "True") is well
    assert well or (found["reason"] == "ConnectUnfit" and version in found["message"] and "3.7" in found["message"])


@pytest.mark.parametrize(
    ("version", "well"),
    [
        ("3.6.1.Final", True),
        ("3.2.0.Final", True),
        ("3.10.0", True),
        ("null", True),
        ("3.1.3.Final", False),
        ("2.7.4", False),
    ],
)
def test_a_debezium_that_does_not_know_what_is_set_is_told_and_used(version: str, well: bool) -> None:
    plugin = PluginSeen(class_name=DEBEZIUM, version=version, type="source")
    found = planned(world(workers=dataclasses.replace(workers(), plugins=(plugin,))))
    told = condition(found, "Answering")

    assert (told["status"], condition(found, "Ready")["status"]) == ("True", "True")
    assert (version in told["message"] and "publish.via.partition.root" in told["message"]) is not well


def test_it_writes_to_the_kafka_of_its_kafkaconnection() -> None:
    found = condition(planned(world(workers=workers(kafka="another"))), "Answering")

    assert (found["status"], found["reason"]) == ("False", "ConnectUnfit")
    assert "another" in found["message"]


@pytest.mark.case("databases-15")
@pytest.mark.parametrize("kafka", [worlds.KAFKA, Unknown(reason="not accepted"), Absent()])
def test_nothing_is_put_before_it_is_known_which_kafka_it_must_write_to(kafka: Any) -> None:
    told = planned(world(workers=workers(kafka="another"), kafka=kafka))
    found = put(cluster(conditions=told.status["conditions"]))

    assert condition(told, "Answering")["status"] == "Unknown"
    assert found.actions == ()
    assert "which does not tell" in condition(found, "ConnectKnown")["message"]


def test_what_was_found_well_stays_so_while_kafka_does_not_tell() -> None:
    before = planned(world()).status
    later = planned(world(resource=cluster(conditions=before["conditions"]), kafka=worlds.KAFKA))

    assert condition(later, "Answering")["status"] == "True"


def test_nothing_is_put_on_one_that_is_of_no_use() -> None:
    told = {"type": "Answering", "status": "False", "reason": "ConnectUnfit", "message": "it is too old"}
    found = put(cluster(conditions=[told]))

    assert found.actions == ()
    assert condition(found, "ConnectKnown")["message"] == "it is too old"


def test_nothing_is_put_before_it_is_known_what_it_can_do() -> None:
    found = put(cluster(version=None))

    assert found.actions == ()
    assert condition(found, "ConnectKnown")["status"] == "Unknown"
    assert found.status["accepted"] is None


def test_what_runs_there_is_left_when_its_words_are_taken_away() -> None:
    spec = worlds.CONNECTOR.spec
    known = dataclasses.replace(worlds.CONNECTOR, status={"accepted": {"generation": 1, "spec": spec}})
    seen = ConnectorSeen(name="shop.orders-db", config={}, state="RUNNING", trace=None, tasks=())
    running = dataclasses.replace(seen, config={"headrace.resource.uid": known.uid})
    found = put(cluster({**SPEC, "external": {"url": URL}}), resource=known, seen=running)

    assert found.actions == ()
    assert "spec.external.secretReference" in condition(found, "Accepted")["message"]


def test_connectors_are_put_there_with_secrets_named_as_everywhere() -> None:
    """The client says them in the words of that Kafka Connect."""
    (made,) = put(cluster()).actions

    assert isinstance(made, PutConnector)
    assert made.url == "external://main.shop"
    assert made.config["database.password"] == "${secrets:shop/shop-db:password}"


def test_a_connector_says_what_to_set_where_no_secret_could_be_read() -> None:
    found = put(cluster({**SPEC, "external": {"url": URL}}))

    assert found.actions == ()
    assert condition(found, "Accepted")["reason"] == "ConnectUnfit"
    assert "spec.external.secretReference, such as ${secrets:" in condition(found, "Accepted")["message"]


def test_a_secret_that_it_has_by_itself_need_not_be_in_the_namespace() -> None:
    known = {"shop-db": Absent()}

    assert condition(found := put(cluster(), secrets=known), "CredentialsCurrent")["status"] == "True"
    assert found.actions
    assert not put(worlds.CONNECT, secrets=known).actions
    lacking = {"shop-db": SecretSeen(name="shop-db", keys=frozenset({"username"}))}
    assert condition(put(cluster(), secrets=lacking), "CredentialsCurrent")["reason"] == "SecretKeyMissing"


@pytest.mark.parametrize(
    ("plugins", "missing"),
    [
        ([], None),
        (PLUGINS, None),
        (PLUGINS[1:], DEBEZIUM),
        (PLUGINS[:1], "dev.headrace.connect.debezium."),
    ],
)
def test_a_connector_names_the_plug_in_that_is_missing(plugins: list[Any], missing: str | None) -> None:
    found = put(cluster(plugins=plugins))
    accepted = condition(found, "Accepted")

    assert (accepted["status"] == "True") is (missing is None)
    assert missing is None or (missing in accepted["message"] and found.actions == ())
    assert ("docs/connect-cluster.md" in accepted["message"]) is bool(missing and missing != DEBEZIUM)


def test_plug_ins_that_a_connector_does_without_are_not_missing() -> None:
    plain = {
        **{f"{part}.converter": "org.apache.kafka.connect.storage.StringConverter" for part in ("key", "value")},
        "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
        "readable.type": "",
        "converters": "",
    }
    resource = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, "config": plain})

    assert put(cluster(plugins=PLUGINS[:1]), resource=resource).actions


@pytest.mark.parametrize(("hosts", "well"), [(None, True), (("connect.example:8443",), True), (("a.example",), False)])
def test_a_secret_says_whether_it_may_go_there(hosts: tuple[str, ...] | None, well: bool) -> None:
    auth = {"credentials": {"secret": "login"}}
    seen = {"login": SecretSeen(name="login", keys=frozenset({"username", "password"}), hosts=hosts)}
    resource = worlds.resource("ConnectCluster", "main", outside(auth=auth))
    found = condition(planned(world(resource=resource, secrets=seen)), "Accepted")

    assert (found["status"] == "True") is well
    assert well or found["reason"] == "HostNotAllowed"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://connect.example/rest", "connect.example:443"),
        ("http://connect.example", "connect.example:80"),
        ("https://[2001:db8::1]", "[2001:db8::1]:443"),
        ("https://[2001:db8::1]:8443/a", "[2001:db8::1]:8443"),
    ],
)
def test_its_address_has_a_port(url: str, address: str) -> None:
    assert External(url=url).address == address


@pytest.mark.parametrize(
    "more",
    [
        {"workers": {}},
        {"rest": {"tls": {"secret": "a"}}},
        {"external": None},
        {"external": {"url": "http://connect:8083", "auth": {"credentials": {"secret": "a"}}}},
        {"external": {"url": "http://connect:8083", "tls": {"ca": {"secret": "a", "key": "b"}}}},
        {"external": {"url": URL, "secretReference": "s3cret"}},
        {"external": {"url": URL, "replicas": 1}},
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ConnectClusterSpec.model_validate({**SPEC, **more})


SHARED = worlds.resource("Connector", "orders-db", {**worlds.CONNECTOR.spec, "connect": "other"})


def seen(uid: str) -> ConnectorSeen:
    config = {"headrace.resource.uid": uid, "headrace.namespace.uid": worlds.HOME}
    return ConnectorSeen(name="shop.orders-db", config=config, state="STOPPED", trace=None, tasks=(), offsets=())


@pytest.mark.parametrize(
    ("owner", "uid", "leaves"),
    [
        (Absent(), "x", True),
        (SHARED, SHARED.uid, False),
        (SHARED, "uid-before", True),
        (Unknown(reason="no answer"), "x", False),
    ],
)
def test_what_leaves_is_removed_there_but_nothing_of_another_connectcluster(owner: Any, uid: str, leaves: bool) -> None:
    """Two of them may name one Kafka Connect; what one put there has its own Connector."""
    one = seen(uid)
    found = planned(
        world(workers=workers("4.3.1", "k", one), connectors=(), owners={one.name: owner}, orphans={one.name: one})
    )

    assert [type(action) for action in found.actions] == ([RemoveConnector] if leaves else [])
    assert all(getattr(action, "url", "") == "external://main.shop" for action in found.actions)


@pytest.mark.case("clusters-20")
@pytest.mark.parametrize("name", ["x/../../../secrets/login", "..", "", "x?watch=1", "x/status"])
def test_no_name_that_it_tells_leads_elsewhere(name: str) -> None:
    """The resource of that name is read by the operator's own rights, and the connector is asked for by its login."""
    told = dataclasses.replace(seen("x"), name=f"shop.{name}")

    assert needs.orphans(cluster(), workers("4.3.1", "k", told, seen("x")), ()) == {"shop.orders-db": "orders-db"}


LEFT = {
    **{
        "slot.name": "headrace_shop_gone",
        "database.hostname": "db",
        "database.port": "5432",
        "database.dbname": "shop",
    },
    **{f"database.{part}": f"${{secrets:shop/shop-db:{part}}}" for part in ("user", "password")},
}


@pytest.mark.case("clusters-24")
@pytest.mark.parametrize(
    ("field", "value"),
    [*((field, "") for field in ("database.hostname", "database.port", "database.dbname")), ("database.port", "x")],
)
def test_the_agent_drops_nothing_by_a_configuration_that_is_none(field: str, value: str) -> None:
    """Whoever reaches that Kafka Connect may write there what they like."""
    odd = {name: one for name, one in {**LEFT, field: value}.items() if one}
    found = declared.left(
        cluster(), {"shop.gone": LEFT, "shop.odd": odd | {"slot.name": "headrace_shop_odd"}}, {}, ["shop-db"]
    )

    assert [one.name for one in found] == ["gone"]


def test_the_agent_is_made_beside_it() -> None:
    seen = world(
        {**SPEC, "agent": {"enabled": True}}, sources={"shop-db": SecretSeen(name="shop-db", keys=frozenset())}
    )
    kinds = [action.manifest["kind"] for action in planned(seen).actions if isinstance(action, Apply)]

    assert kinds == ["ServiceAccount", "NetworkPolicy", "ConfigMap", "Deployment", "Service"]


def test_it_has_a_name_that_leads_nowhere_until_its_spec_is_accepted_and_after() -> None:
    written = worlds.resource("ConnectCluster", "main", SPEC)

    assert rest.url(written) == rest.url(cluster()) == "external://main.shop"


OWN = {"kafka": "kafka", "workers": {}}


@pytest.mark.case("databases-15")
@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        (OWN, SPEC, "spec.external: "),
        (SPEC, OWN, "spec.external: "),
        (OWN, {**SPEC, "workers": {}}, "write exactly one of workers and external"),
        (SPEC, {**SPEC, "workers": {}}, "write exactly one of workers and external"),
        (SPEC, {"kafka": "kafka"}, "write exactly one of workers and external"),
        (SPEC, outside(url="https://elsewhere:8443"), "spec.external.url: "),
        (SPEC, outside(url=f"{URL}/path"), "spec.external.url: "),
    ],
)
def test_it_stays_what_and_where_it_was_accepted_whatever_definitions_let_through(
    before: dict[str, Any], after: dict[str, Any], field: str
) -> None:
    """What runs goes on by the accepted spec, and nothing is taken away or left behind."""
    begun = planned(world(resource=worlds.resource("ConnectCluster", "main", before)))
    there = worlds.applied(Children(objects={}), begun.actions)
    first = worlds.resource("ConnectCluster", "main", before, status=begun.status)
    edited = dataclasses.replace(first, spec=after, generation=2)
    same, other = (planned(world(resource=one, children=there)) for one in (first, edited))

    accepted = condition(other, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert field in accepted["message"]
    assert other.actions == same.actions == ()
    assert other.status["accepted"]["spec"] == before
    assert rest.url(edited) == rest.url(first)


def test_it_may_go_on_by_https_where_it_was_by_http() -> None:
    edited = dataclasses.replace(cluster(), spec=outside(url=URL.replace("https", "http")), generation=2)

    assert condition(planned(world(resource=edited)), "Accepted")["status"] == "True"


WELL = (
    "${secrets:{namespace}/{name}:{key}}",
    REFERENCE,
    "${file:/opt/secrets/{name}.properties:{key}}",
    "${vault:secret/data/{namespace}/{name}:{key}}",
    "${env:{name}_{key}}",
)
WRONG = (
    *("", "s3cret", "${file:/opt/a:b}", "${file:/opt/{name}}", "${file:{key}}", "${file:/opt/{name}{key}}"),
    *("${file:/opt/{name}-{key}}", "${a:{name}:{key}:{namespace}}", "${a:{name}/{name}:{key}}", "x${a:{name}:{key}}"),
    *("${a:{name}:{key}}x", "${a:{name}:{key}}\n", "${a:{name}:{key} }", "${a:{user}/{name}:{key}}", "{name}:{key}"),
    *("${a:${b:{name}}:{key}}", '${a:"{name}":{key}}'),
)


@pytest.mark.parametrize("expression", WELL)
def test_a_key_of_a_secret_is_said_by_its_own_provider_and_understood_again(expression: str) -> None:
    assert secret_reference.judged(expression) == expression
    for name in ("db", "db.v2-1"):
        for key in ("password", "a.b_c-D"):
            ours = f"${{secrets:shop/{name}:{key}}}"
            theirs = secret_reference.written(ours, expression)
            assert "{" not in theirs[2:]
            assert secret_reference.read(theirs, expression, "shop") == ours
    for plain in ("shop-db", "${routedByValue}", "x${secrets:shop/db:password}", ""):
        assert secret_reference.written(plain, expression) == plain
        assert secret_reference.read(plain, expression, "shop") == plain


@pytest.mark.case("clusters-22")
@pytest.mark.parametrize(
    ("login", "config"),
    [
        *(({"passwordKey": key}, {}) for key in ("..", ".")),
        *(({}, {"database.password": f"${{secrets:shop/{key}}}"}) for key in ("..:a", ".:a", "shop-db:..")),
    ],
)
def test_no_name_of_a_secret_is_another_folder(login: dict[str, str], config: dict[str, str]) -> None:
    """Where Secrets are files there, two dots would be those of all namespaces."""
    postgres = {**worlds.CONNECTOR.spec["postgres"], "credentials": {"secret": "shop-db", **login}}
    spec = {**worlds.CONNECTOR.spec, "postgres": postgres, "config": config}
    found = put(cluster(), resource=worlds.resource("Connector", "orders-db", spec))

    assert found.actions == ()
    assert condition(found, "Accepted")["reason"] == "PasswordInConfig"


@pytest.mark.parametrize("expression", WRONG)
def test_no_other_text_is_an_expression(expression: str) -> None:
    with pytest.raises(ValueError, match="write one expression of a config provider"):
        secret_reference.judged(expression)
