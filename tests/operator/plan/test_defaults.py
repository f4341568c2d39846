"""Properties that a ConnectCluster gives to its Connectors: which hold, and what is left while one is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen, FieldError, TaskSeen, Validation
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import connectcluster, connector, debezium, defaults, publication
from headrace_operator.plan.actions import Plan, PutConnector
from tests.operator import worlds
from tests.operator.worlds import condition

BATCH = "max.batch.size"


def giving(**more: str) -> Resource:
    """Return an accepted ConnectCluster that gives these, of which `_` is a dot."""
    properties = {name.replace("_", "."): value for name, value in more.items()}
    spec = {**worlds.CONNECT.spec, "connectorDefaults": {"postgres": properties}}
    return dataclasses.replace(worlds.CONNECT, spec=spec, status={"accepted": {"generation": 1, "spec": spec}})


def planned(cluster: Resource, resource: Resource = worlds.CONNECTOR, **more: Any) -> Plan:
    seen = worlds.connector_world(connect=cluster, resource=resource, **more)
    return connector.plan(seen, worlds.SETTINGS, worlds.NOW)


def made(plan: Plan) -> dict[str, str]:
    """Return the configuration that is put, empty where none is."""
    return next((dict(action.config) for action in plan.actions if isinstance(action, PutConnector)), {})


def running(plan: Plan, resource: Resource = worlds.CONNECTOR) -> dict[str, Any]:
    """Return what there is after a plan: its status is recorded, and Kafka Connect runs what it put."""
    task = TaskSeen(id=0, state="RUNNING", worker="w", trace=None)
    seen = ConnectorSeen(name="shop.orders-db", config=made(plan), state="RUNNING", trace=None, tasks=(task,))
    return {"resource": dataclasses.replace(resource, status=plan.status), "seen": seen, "validation": None}


def spec(**more: Any) -> Resource:
    return dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, **more})


def test_a_connector_has_them_and_tells_so() -> None:
    found = planned(giving(max_batch_size="700"))

    assert made(found)[BATCH] == "700"
    assert found.status["defaults"] == {BATCH: "700"}
    assert found.status["accepted"]["spec"] == worlds.CONNECTOR.spec
    assert "defaults" not in {name for name, value in planned(worlds.CONNECT).status.items() if value}


def test_they_win_over_what_headrace_sets() -> None:
    assert made(planned(giving(snapshot_fetch_size="9")))["snapshot.fetch.size"] == "9"


def test_its_own_properties_win() -> None:
    assert made(planned(giving(max_batch_size="700"), spec(config={BATCH: "5"})))[BATCH] == "5"


COLUMNS = {"id": "a", "route": "b", "key": "c", "type": "d", "payload": "e", "traceparent": "f"}
EVERY = {
    "postgres": {**worlds.CONNECTOR.spec["postgres"], "publication": "p", "onSlotLost": "Halt"},
    "topics": {"prefix": "own", "partitions": 12, "replicationFactor": 1, "maxRecordBytes": 2000000},
    "capture": {"outbox": {"table": "public.outbox", "columns": COLUMNS}},
}


def test_its_own_fields_win_even_where_they_say_what_is_the_default_anyway() -> None:
    """Each field that a property is made of is known: none is changed by any default."""
    resource = spec(**EVERY)
    without = made(planned(worlds.CONNECT, resource))
    names = {name.replace("*", "default") for known in defaults.SAID.values() for name in known}
    with_them = made(planned(giving(**{name.replace(".", "_"): "999" for name in names}), resource))

    assert names <= without.keys()
    assert with_them == without


@pytest.mark.case("databases-16")
@pytest.mark.parametrize(
    ("topics", "name", "value", "config"),
    [
        ({"prefix": "own"}, "transforms.outbox.route.topic.replacement", "own.outbox.${routedByValue}", {}),
        (
            {"maxRecordBytes": 2000000},
            "topic.creation.large.max.message.bytes",
            "2000000",
            {"topic.creation.groups": "large"},
        ),
    ],
)
def test_a_field_wins_over_each_property_of_it(
    topics: dict[str, Any], name: str, value: str, config: dict[str, str]
) -> None:
    given = {**config, name: "999"}

    assert made(planned(giving(**given), spec(topics=topics)))[name] == value


@pytest.mark.case("databases-18")
@pytest.mark.parametrize(
    ("given", "own", "lacks"),
    [
        ({"database.sslmode": "disable"}, {"config": {"driver.sslmode": "verify-full"}}, "database.sslmode"),
        ({"driver.sslmode": "disable"}, {"config": {"database.sslmode": "verify-full"}}, "driver.sslmode"),
        ({"database.options": "-c x=1"}, {"config": {"driver.options": "-c y=1"}}, "database.options"),
        ({"topic.creation.all.partitions": "1"}, {"topics": {"partitions": 6}}, "topic.creation.all.partitions"),
        (
            {"topic.creation.all.replication.factor": "1"},
            {"topics": {"replicationFactor": 3}},
            "topic.creation.all.replication.factor",
        ),
    ],
)
def test_they_overrule_nothing_by_another_name(given: dict[str, str], own: dict[str, Any], lacks: str) -> None:
    assert lacks in made(planned(giving(**given)))
    assert lacks not in made(planned(giving(**given), spec(**own)))


@pytest.mark.case("databases-18")
@pytest.mark.parametrize(("value", "found"), [("mask", "outbox"), ("", "outbox"), ("mask , outbox", "mask , outbox")])
def test_no_default_has_an_outbox_captured_as_a_table(value: str, found: str) -> None:
    outbox, tables = spec(capture={"outbox": {"table": "public.outbox"}}), spec(capture={"tables": ["public.a"]})

    assert made(planned(giving(transforms=value), outbox))["transforms"] == found
    assert made(planned(giving(transforms=value), tables))["transforms"] == value


def test_each_optional_field_that_makes_a_property_is_known() -> None:
    """What differs once a field is given is said by that field."""
    resource, bare = spec(**EVERY), spec(topics={}, capture={"outbox": {"table": "public.outbox"}})
    whole, less = (
        debezium.configuration(one, ConnectorSpec.model_validate(dict(one.spec))) for one in (resource, bare)
    )
    known = {name.replace("*", "default") for every in defaults.SAID.values() for name in every}
    differing = {name for name in whole if whole[name] != less.get(name)}

    assert {name for name in differing if name not in ("publication.name", "topic.prefix")} <= known


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in ("slot.name", "connector.class", "topic.prefix", "headrace.on.delete.slot")),
        *((name, "x") for name in ("database.hostname", "database.port", "database.user", "table.include.list")),
        *((name, "x") for name in ("publication.name", "schema.exclude.list", "config.providers")),
        *((name, "x") for name in ("database.initial.statements", "heartbeat.action.query")),
        *((name, "x") for name in ("snapshot.select.statement.overrides", "snapshot.select.statement.overrides.t")),
        *((name, "x") for name in ("signal.kafka.bootstrap.servers", "signal.consumer.sasl.token.endpoint.url")),
        ("database.password", "s3cret"),
        ("database.sslpassword", "${secrets:shop/shop-db:password}"),
        ("value.converter", "${secrets:shop/shop-db:password}"),
        ("producer.override.bootstrap.servers", "elsewhere:9092"),
        *((f"{one}.override.ssl.endpoint.identification.algorithm", "") for one in ("producer", "consumer", "admin")),
        ("producer.override.ssl.truststore.location", "/tmp/any"),
        *((f"driver.{one}", "x") for one in ("hostname", "port", "user", "dbname")),
        ("database.socketFactory", "evil.All"),
        ("x.url", "http://169.254.169.254/"),
    ],
)
def test_no_default_is_a_matter_of_one_connector_or_of_headrace(name: str, value: str) -> None:
    given = {"connectorDefaults": {"postgres": {name: value}}}
    problem = connectcluster.judge(worlds.resource("ConnectCluster", "main", {**worlds.CONNECT.spec, **given})).problem

    assert problem is not None
    assert problem.message.startswith(f"spec.connectorDefaults.postgres.{name} ")
    assert "s3cret" not in problem.message


def test_a_change_of_them_is_put_once_kafka_connect_was_asked() -> None:
    there = running(planned(giving(max_batch_size="700")))
    changed = giving(max_batch_size="800")
    before = planned(changed, **{**there, "validation": Unknown(reason="not asked yet")})
    after = planned(changed, **{**there, "validation": Validation(errors=())})

    assert made(before) == {}
    assert before.status["defaults"] == {BATCH: "700"}
    assert made(after)[BATCH] == "800"
    assert after.status["defaults"] == {BATCH: "800"}
    assert planned(changed, **running(after)).actions == ()


def test_what_kafka_connect_refuses_leaves_what_runs_as_it_was() -> None:
    there = running(planned(giving(max_batch_size="700")))
    refused = Validation(errors=(FieldError(field=BATCH, message="not a number"),))
    found = planned(giving(max_batch_size="many"), **{**there, "validation": refused})

    assert found.actions == ()
    assert condition(found, "Accepted")["reason"] == "ValidationFailed"
    assert found.status["defaults"] == {BATCH: "700"}
    assert condition(found, "Running")["status"] == "True"


def test_an_edit_that_is_refused_keeps_those_of_before() -> None:
    there = running(planned(giving(max_batch_size="700")))
    edited = dataclasses.replace(
        there["resource"], spec={**worlds.CONNECTOR.spec, "config": {"slot.name": "x"}}, generation=2
    )
    found = planned(giving(max_batch_size="800"), **{**there, "resource": edited})

    assert found.actions == ()
    assert found.status["defaults"] == {BATCH: "700"}


def test_they_are_part_of_what_was_accepted() -> None:
    """So for whoever asks what a Connector captures, and how."""
    resource = running(planned(giving(skipped_operations="t,d")))["resource"]
    accepted = publication.accepted(resource)

    assert accepted is not None
    assert (accepted.config or {})["skipped.operations"] == "t,d"


def test_without_its_connectcluster_a_connector_has_those_of_before() -> None:
    resource = running(planned(giving(max_batch_size="700")))["resource"]
    judged = connector.judge(resource)

    assert judged.spec is not None
    assert (judged.spec.config or {})[BATCH] == "700"
