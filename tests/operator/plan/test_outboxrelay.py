"""What an OutboxRelay's pods are given, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import outbox
from headrace.config import Tls
from headrace_operator.observed.kube import SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import figures
from headrace_operator.plan.actions import Apply, Plan
from tests.operator import worlds
from tests.operator.plan import leaves, statuses

Json = dict[str, Any]
SPEC: Json = dict(worlds.OUTBOX_RELAY.spec)
DATABASE = SPEC["mariadb"]
TLS = {"ca": {"secret": "authority", "key": "ca.pem"}, "certificate": {"secret": "client"}}
LOGIN = {"sasl": {"mechanism": "PLAIN", "credentials": {"secret": "kafka", "passwordKey": "pass"}}}
SEEN = {
    "parcels-db": SecretSeen(name="parcels-db", keys=frozenset({"username", "password"})),
    "authority": SecretSeen(name="authority", keys=frozenset({"ca.pem"})),
    "client": SecretSeen(name="client", keys=frozenset({"tls.crt", "tls.key"})),
}


def made(kind: str, spec: Json = SPEC, **changes: Any) -> Json:
    """Return the object of a kind that a first pass applies."""
    plan = statuses.planned(statuses.changed(worlds.outbox_relay_world(), spec=spec, **{"secrets": SEEN, **changes}))
    (found,) = [one.manifest for one in plan.actions if isinstance(one, Apply) and one.manifest["kind"] == kind]
    return dict(found)


def contract(spec: Json = SPEC, **changes: Any) -> outbox.Relay:
    """Return the contract that pods of a spec are made with."""
    return outbox.load(made("ConfigMap", spec, **changes)["data"]["relay.json"])


def database(name: str, **more: Any) -> Json:
    """Return the spec with this database in place of its own."""
    return {**{one: part for one, part in SPEC.items() if one != "mariadb"}, name: {**DATABASE, **more}}


@pytest.mark.parametrize(
    ("name", "dialect", "port"),
    [("postgres", "postgresql", 5432), ("mysql", "mysql", 3306), ("mariadb", "mysql", 3306)],
)
def test_each_database_has_its_dialect_and_port(name: str, dialect: str, port: int) -> None:
    found = contract(database(name)).database

    assert (found.dialect, found.host, found.port, found.name) == (dialect, "parcels-db", port, "parcels")
    assert contract(database(name, port=6000)).database.port == 6000


def test_what_a_spec_leaves_out_is_as_the_process_has_it() -> None:
    """But for the topics, which begin as those of a captured outbox do."""
    found, known = contract(), outbox.Relay.model_fields

    assert found.topic_prefix == "shop.parcels.outbox."
    assert (found.namespace, found.relay, found.pipeline) == ("shop", "parcels", "parcels")
    for name in ("batch", "interval", "retry", "lease", "retention", "columns"):
        assert getattr(found, name) == known[name].default, name


def test_what_a_spec_says_is_in_the_contract() -> None:
    """Of every field: the columns by name, lengths of time in seconds."""
    spec = leaves.SPECS["OutboxRelay"][0]
    keys = frozenset({"user", "pass", "ca.crt", "own.crt", "own.key"})
    secrets = {name: SecretSeen(name=name, keys=keys) for name in ("login", "authority", "client")}
    found = contract(spec, secrets=secrets)

    assert (found.table, found.topic_prefix, found.batch, found.interval) == ("shop.outbox", "shop.", 100, 5.0)
    assert found.retry == outbox.Backoff(attempts=5, initial=2.0, max=540.0)
    assert found.retention == 2 * 86_400
    assert list(found.columns.model_dump().values()) == list("abcdefghijkl")


@pytest.mark.parametrize("prefix", ["", "shop.orders.", "a"])
def test_topics_may_begin_otherwise(prefix: str) -> None:
    """With an empty prefix the route is the topic."""
    assert contract({**SPEC, "topicPrefix": prefix}).topic_prefix == prefix


def test_pods_find_each_file_that_the_contract_names() -> None:
    """The logins of the database and of Kafka are mounted beside the contract, and no value is in it."""
    accepted = {"accepted": {"generation": 1, "spec": {**worlds.KAFKA_SPEC, **LOGIN}}}
    given: Json = {
        "spec": database("postgres", tls=TLS),
        "kafka": worlds.resource("KafkaConnection", "kafka", worlds.KAFKA_SPEC, status=accepted),
    }
    told, pod = contract(**given), made("Deployment", **given)["spec"]["template"]["spec"]
    (mount, _), (files, _) = pod["containers"][0]["volumeMounts"], pod["volumes"]
    sources = files["projected"]["sources"]
    items = [item for one in sources for item in next(iter(one.values()))["items"]]
    there = {f"{mount['mountPath']}/{item['path']}": item["key"] for item in items}

    assert told.database.tls is not None
    assert told.kafka.sasl is not None
    named = {
        outbox.PATH: "relay.json",
        told.database.username_file: "username",
        told.database.password_file: "password",
        told.database.tls.ca_file: "ca.pem",
        told.database.tls.certificate_file: "tls.crt",
        told.database.tls.key_file: "tls.key",
        told.kafka.sasl.username_file: "username",
        told.kafka.sasl.password_file: "pass",
    }
    assert there == named
    assert files["projected"]["defaultMode"] == 0o440
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["command"] == ["headrace", "relay"]


def test_a_database_that_is_only_encrypted_needs_no_secret_for_it() -> None:
    assert contract(database("postgres", tls={})).database.tls == Tls()


@pytest.mark.parametrize(
    ("seen", "reason", "said"),
    [
        (Absent(), "SecretNotFound", "Secret parcels-db does not exist in this namespace: create it"),
        (SecretSeen(name="parcels-db", keys=frozenset({"username"})), "SecretKeyMissing", "has no key password"),
        (Unknown(reason="The API server is silent."), "Unknown", "The API server is silent."),
    ],
)
def test_without_its_secret_no_pod_is_made_and_it_says_so(seen: Any, reason: str, said: str) -> None:
    plan = statuses.planned(worlds.outbox_relay_world(secrets={"parcels-db": seen}))

    assert plan.actions == ()
    assert worlds.condition(plan, "Ready")["reason"] == reason
    assert said in worlds.condition(plan, "Deployed")["message"]


@pytest.mark.parametrize("hosts", [("parcels-db",), ("parcels-db:3306",), ("*.example.com", "parcels-db:3306")])
def test_a_secret_is_sent_where_it_may_go(hosts: tuple[str, ...]) -> None:
    bound = SecretSeen(name="parcels-db", keys=frozenset({"username", "password"}), hosts=hosts)

    assert statuses.planned(worlds.outbox_relay_world(secrets={"parcels-db": bound})).actions


@pytest.mark.parametrize("hosts", [(), ("other-db",), ("parcels-db:5432",)])
def test_a_secret_is_sent_nowhere_else(hosts: tuple[str, ...]) -> None:
    bound = SecretSeen(name="parcels-db", keys=frozenset({"username", "password"}), hosts=hosts)
    plan = statuses.planned(worlds.outbox_relay_world(secrets={"parcels-db": bound}))

    assert plan.actions == ()
    assert worlds.condition(plan, "Accepted")["reason"] == "HostNotAllowed"


@pytest.mark.parametrize("spec", [SPEC, {**SPEC, "topicPrefix": "mine."}])
def test_it_shares_no_topics_with_the_connector_of_its_name(spec: Json) -> None:
    """By a prefix of its own it stands beside it."""
    namesake = worlds.resource("Connector", "parcels", worlds.CONNECTOR.spec)
    plan = statuses.planned(statuses.changed(worlds.outbox_relay_world(), spec=spec, namesake=namesake))
    accepted = worlds.condition(plan, "Accepted")

    if "topicPrefix" in spec:
        assert accepted["status"] == "True"
    else:
        assert (accepted["reason"], plan.actions) == ("NameTaken", ())
        assert "Connector parcels writes to topics that begin with shop.parcels., too" in accepted["message"]


def test_the_status_says_where_rows_go_and_how_many_pods_there_are() -> None:
    status = statuses.planned(statuses.settled("OutboxRelay")).status

    assert status["topicPrefix"] == "shop.parcels.outbox."
    assert (status["replicas"], status["readyReplicas"], status["replicasReady"]) == (2, 2, "2/2")
    assert status["conditions"][0]["status"] == "True"


WELL = outbox.Told(pending=3, failed=0, oldest=1.4)
SILENT = Unknown(reason="GET http://10.0.0.7:8080/standing: the relay's pod did not answer within 5 s.")


def planned(*told: outbox.Told | Unknown) -> Plan:
    """Return the plan of a relay that runs, whose pods tell this."""
    return statuses.planned(statuses.changed(statuses.settled("OutboxRelay"), told=told))


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"database": "could not read outbox in parcels at parcels-db:3306: denied (1045)"}, "OutboxUnreadable"),
        ({"kafka": "Kafka does not take records: no broker"}, "KafkaUnreachable"),
        ({"rows": "rows wait for 1 topics; topic shop.parcels.outbox.x: it does not exist"}, "RowsWait"),
        ({"rows": "rows wait for 1 topics", "kafka": "silence", "database": "away"}, "OutboxUnreadable"),
    ],
)
def test_what_is_in_the_way_of_a_pod_is_told_of_the_relay(trouble: dict[str, str], reason: str) -> None:
    """In the pod's words, also where another pod is well; the worst of several."""
    plan = planned(WELL, outbox.Told(**trouble))
    ready, publishing = worlds.condition(plan, "Ready"), worlds.condition(plan, "Publishing")

    assert (publishing["status"], publishing["reason"]) == ("False", reason)
    assert publishing["message"][1:] == f"{list(trouble.values())[-1][1:]}."
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", reason, publishing["message"])


@pytest.mark.parametrize("told", [(), (SILENT,), (SILENT, WELL), (WELL,)])
def test_that_a_pod_does_not_tell_is_no_failure(told: tuple[Any, ...]) -> None:
    """Whether it is ready the kubelet knows; what is not known is not told as zero."""
    plan = planned(*told)
    expected = {(): None, (SILENT,): "Unknown"}.get(told, "True")

    assert worlds.condition(plan, "Publishing").get("status") == expected
    assert worlds.condition(plan, "Ready")["status"] == "True"
    counts = (plan.status["backlog"], plan.status["oldestPendingSeconds"], plan.status["failedRows"])
    assert counts == ((3, 1, 0) if WELL in told else (None, None, None))


def test_rows_that_were_given_up_are_told_with_the_way_back() -> None:
    """They are no reason not to be Ready, as dead letters are none."""
    plan = planned(WELL, outbox.Told(pending=1, failed=2, oldest=0))
    found = worlds.condition(plan, "NoRowsFailed")

    assert (found["status"], found["reason"]) == ("False", "RowsFailed")
    assert found["message"].startswith("2 rows are FAILED")
    assert "kubectl -n shop exec deploy/parcels-relay -- headrace outbox retry --all" in found["message"]
    assert worlds.condition(plan, "Ready")["status"] == "True"
    assert worlds.condition(planned(WELL), "NoRowsFailed")["reason"] == "NoRowsFailed"


def test_rows_that_come_and_go_make_no_write() -> None:
    """Until one waits for longer than looks explain, or none waits any more."""
    before = planned(WELL).status
    for told, is_due in ((9, 2.0), False), ((9, 30.0), True), ((0, 0.0), True):
        pending, oldest = told
        after = planned(outbox.Told(pending=pending, failed=0, oldest=oldest)).status
        assert figures.due(before, after, 60.0) is is_due, told
