"""Plans of a ConnectCluster and a Connector: rights, removal, validation, states, restarts."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import timedelta

import pytest

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.api.properties import IDENTITY
from headrace_operator.observed.connect import ConnectorSeen, FieldError, TaskSeen, Validation, WorkersSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import Reference
from headrace_operator.plan import connectcluster, connector, marks, needs, workers
from headrace_operator.plan.actions import Apply, PutConnector, RemoveConnector, RestartConnector, SetState
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition


def test_workers_may_read_exactly_the_secrets_that_connectors_name() -> None:
    plan = connectcluster.plan(worlds.connect_world(), worlds.SETTINGS, worlds.NOW)

    made = {action.manifest["kind"]: action.manifest for action in plan.actions if isinstance(action, Apply)}
    assert made["Role"]["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["shop-db"], "verbs": ["get"]}
    ]
    subject = {"kind": "ServiceAccount", "name": "main-connect", "namespace": "shop"}
    assert made["RoleBinding"]["subjects"] == [subject]
    assert "password" not in made["ConfigMap"]["data"]["worker.properties"]


def test_no_value_is_more_than_one_line_of_the_workers_properties() -> None:
    """Whatever stands in a value, also in those that no rule looks at."""
    plain = workers.worker_properties(
        worlds.CONNECT,
        ConnectClusterSpec.model_validate({"kafka": "kafka", "workers": {"config": {"a": "b"}}}),
        KafkaConnectionSpec.model_validate({"bootstrapServers": "kafka:9092"}),
    )
    hostile = workers.worker_properties(
        worlds.CONNECT,
        ConnectClusterSpec.model_validate({"kafka": "kafka", "workers": {"config": {"a": "C:\\ü\\"}}}),
        KafkaConnectionSpec.model_validate({"bootstrapServers": "kafka:9092\nx=y\rx=z"}),
    )

    assert hostile.splitlines() == [
        {"a=b": "a=C:\\\\\\u00fc\\\\", "bootstrap.servers=kafka:9092": "bootstrap.servers=kafka:9092\\nx=y\\rx=z"}.get(
            line, line
        )
        for line in plain.splitlines()
    ]


@pytest.mark.parametrize(
    ("kind", "name", "value", "words"),
    [
        ("Connector", "producer.override.bootstrap.servers", "x:1", "is said by the KafkaConnection alone"),
        ("ConnectCluster", "bootstrap.servers", "x:1", "bootstrap.servers is set by Headrace: remove it"),
        ("ConnectCluster", "rest.port", "1", "rest.port is set by Headrace: remove it"),
        ("ConnectCluster", "producer.acks", "all\nx=y", "producer.acks has a line break"),
        ("ConnectCluster", "a b", "c", "has the name 'a b': a name is letters"),
    ],
)
def test_a_raw_property_that_leads_elsewhere_is_refused_by_name(kind: str, name: str, value: str, words: str) -> None:
    changed = {"config": {name: value}} if kind == "Connector" else {"workers": {"config": {name: value}}}
    world = statuses.WORLDS[kind]()
    resource = dataclasses.replace(world.resource, spec={**world.resource.spec, **changed})
    plan = statuses.planned(dataclasses.replace(world, resource=resource))

    assert plan.actions == ()
    assert condition(plan, "Accepted")["reason"] == "PropertyNotAllowed"
    assert words in condition(plan, "Accepted")["message"]


def test_a_second_pass_over_the_workers_it_made_plans_nothing() -> None:
    world = worlds.connect_world()
    first = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)
    world = worlds.with_status(worlds.after_connect(world, first.actions), first.status)
    second = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)

    assert second.actions == ()
    assert condition(second, "Ready")["status"] == "True"


def test_what_workers_have_is_known_while_they_do_not_answer() -> None:
    """Else connectors would be configured by what they lack, and anew once they answer."""
    plugins = [{"class": "dev.headrace.connect.debezium.BoundedConverter", "version": "undefined"}]
    world = worlds.connect_world(workers=Unknown(reason="It does not answer."))
    world = worlds.with_status(world, {**world.resource.status, "plugins": plugins})

    assert connectcluster.plan(world, worlds.SETTINGS, worlds.NOW).status["plugins"] == plugins


def test_only_marked_connectors_without_a_resource_are_removed() -> None:
    ours = ConnectorSeen(name="shop.gone", config=worlds.MARKED, state="RUNNING", trace=None, tasks=())
    theirs = ConnectorSeen(name="elsewhere", config={}, state="RUNNING", trace=None, tasks=())
    seen = WorkersSeen(
        version="4.3.1", kafka_cluster_id="k", plugins=(), connectors={"shop.gone": ours, "elsewhere": theirs}
    )
    lost = worlds.lost("shop.gone")
    assert needs.orphans(worlds.CONNECT, seen, (worlds.CONNECTOR,)).keys() == lost["orphans"].keys()
    world = worlds.connect_world(**{**lost, "workers": seen})
    world = worlds.after_connect(world, connectcluster.plan(world, worlds.SETTINGS, worlds.NOW).actions)

    plan = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)

    assert plan.actions == (RemoveConnector(url="http://main-connect.shop.svc:8083", connector="shop.gone"),)
    assert plan.status["unmanagedConnectors"] == ["elsewhere"]


@pytest.mark.parametrize(
    ("owner", "removed"),
    [
        (Absent(), True),
        (dataclasses.replace(worlds.CONNECTOR, name="made-since", uid=worlds.MARKED[marks.RESOURCE]), False),
        (dataclasses.replace(worlds.CONNECTOR, name="made-since"), True),
        (dataclasses.replace(worlds.CONNECTOR, name="made-since", spec={"connect": "other"}), True),
        (Unknown(reason="no answer"), False),
    ],
)
def test_a_connector_goes_only_when_its_very_resource_says_so(owner: Reference, removed: bool) -> None:
    world = worlds.connect_world(**{**worlds.lost("shop.made-since"), "owners": {"shop.made-since": owner}})
    world = worlds.after_connect(world, connectcluster.plan(world, worlds.SETTINGS, worlds.NOW).actions)

    plan = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)

    assert [type(action) for action in plan.actions] == ([RemoveConnector] if removed else [])


def test_nothing_is_an_orphan_while_something_is_unknown() -> None:
    marked = ConnectorSeen(name="shop.x", config=worlds.MARKED, state="RUNNING", trace=None, tasks=())
    seen = WorkersSeen(
        version="4.3.1", kafka_cluster_id="k", plugins=(), connectors={"shop.x": marked, "bakery.x": marked}
    )

    assert needs.orphans(worlds.CONNECT, seen, ()) == {"shop.x": "x"}
    assert needs.orphans(worlds.CONNECT, seen, Unknown(reason="forbidden")) == {}
    assert needs.orphans(worlds.CONNECT, Unknown(reason="no answer"), ()) == {}


def test_unknown_is_never_read_as_absent() -> None:
    world = worlds.connect_world(connectors=Unknown(reason="forbidden"))

    assert connectcluster.plan(world, worlds.SETTINGS, worlds.NOW).actions == ()
    unsure = worlds.connector_world(seen=Unknown(reason="no answer"))
    assert connector.plan(unsure, worlds.SETTINGS, worlds.NOW).actions == ()


def test_a_connector_is_put_after_validation_and_then_left_alone() -> None:
    world = worlds.connector_world()
    first = connector.plan(world, worlds.SETTINGS, worlds.NOW)
    world = worlds.with_status(worlds.after_connector(world, first.actions), first.status)
    second = connector.plan(world, worlds.SETTINGS, worlds.NOW)

    (put,) = first.actions
    assert isinstance(put, PutConnector)
    assert put.config["database.password"] == "${secrets:shop/shop-db:password}"
    assert put.config["topic.creation.default.partitions"] == "12"
    assert second.actions == ()
    assert condition(second, "Ready")["status"] == "True"


def test_a_connector_is_not_ready_while_connect_runs_an_earlier_configuration() -> None:
    world = worlds.connector_world()
    world = worlds.after_connector(world, connector.plan(world, worlds.SETTINGS, worlds.NOW).actions)
    edited = dataclasses.replace(
        world.resource, spec={**worlds.CONNECTOR.spec, "config": {"poll.interval.ms": "100"}}, generation=2
    )
    world = dataclasses.replace(world, resource=edited, validation=Validation(errors=()))

    before = connector.plan(world, worlds.SETTINGS, worlds.NOW)
    after = connector.plan(worlds.after_connector(world, before.actions), worlds.SETTINGS, worlds.NOW)

    assert isinstance(before.actions[0], PutConnector)
    assert condition(before, "Ready")["reason"] == "Applying"
    assert condition(after, "Ready")["status"] == "True"


def test_an_edit_that_connect_refuses_leaves_what_runs() -> None:
    world = worlds.connector_world()
    first = connector.plan(world, worlds.SETTINGS, worlds.NOW)
    world = worlds.with_status(worlds.after_connector(world, first.actions), first.status)
    edited = dataclasses.replace(
        world.resource, spec={**worlds.CONNECTOR.spec, "config": {"tasks.max": "zero"}}, generation=2
    )
    refused = Validation(errors=(FieldError(field="tasks.max", message="Not a number"),))

    plan = connector.plan(dataclasses.replace(world, resource=edited, validation=refused), worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert "tasks.max: Not a number" in condition(plan, "Accepted")["message"]
    assert condition(plan, "Running")["status"] == "True"


def test_a_spec_that_connect_has_not_judged_is_not_the_last_accepted_one() -> None:
    silent = worlds.connector_world(validation=Unknown(reason="no answer"))
    unasked = connector.plan(silent, worlds.SETTINGS, worlds.NOW)
    refused = Validation(errors=(FieldError(field="database.hostname", message="password authentication failed"),))
    world = dataclasses.replace(worlds.with_status(silent, unasked.status), validation=refused)

    plan = connector.plan(world, worlds.SETTINGS, worlds.NOW)

    assert unasked.status["accepted"] is None
    assert plan.actions == ()
    assert "password authentication failed" in condition(plan, "Ready")["message"]


def test_a_password_in_the_configuration_is_refused_by_name() -> None:
    spec = {**worlds.CONNECTOR.spec, "config": {"database.password": "letmein"}}
    world = worlds.connector_world(resource=dataclasses.replace(worlds.CONNECTOR, spec=spec))

    plan = connector.plan(world, worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert condition(plan, "Accepted")["reason"] == "PasswordInConfig"
    assert "letmein" not in str(plan.status["conditions"])


@pytest.mark.parametrize(("state", "verb"), [("Paused", "pause"), ("Stopped", "stop")])
def test_the_state_a_user_wants_is_set_once(state: str, verb: str) -> None:
    world = statuses.changed(statuses.settled("Connector"), spec={**worlds.CONNECTOR.spec, "state": state})
    first = connector.plan(world, worlds.SETTINGS, worlds.NOW)
    second = connector.plan(worlds.after_connector(world, first.actions), worlds.SETTINGS, worlds.NOW)

    (action,) = first.actions
    assert isinstance(action, SetState)
    assert action.verb == verb
    assert second.actions == ()


def test_failed_tasks_are_restarted_with_back_off_and_recorded_first() -> None:
    world = worlds.connector_world()
    world = worlds.after_connector(world, connector.plan(world, worlds.SETTINGS, worlds.NOW).actions)
    assert isinstance(world.seen, ConnectorSeen)
    task = TaskSeen(id=0, state="FAILED", worker="w", trace="java.io.IOException: gone\n\tat x")
    world = dataclasses.replace(world, seen=dataclasses.replace(world.seen, tasks=(task,)))
    now, restarted = worlds.NOW, []
    for _ in range(100):
        plan = connector.plan(world, worlds.SETTINGS, now)
        if plan.actions:
            assert isinstance(plan.actions[0], RestartConnector)
            restarted.append(now - worlds.NOW)
        world, now = worlds.with_status(world, plan.status), now + timedelta(seconds=5)

    waits = [int((later - earlier).total_seconds()) for earlier, later in itertools.pairwise(restarted)]
    assert waits == [10, 20, 40, 80, 120, 120]
    assert plan.status["tasks"][0]["error"] == "java.io.IOException: gone"
    assert "java.io.IOException: gone" in condition(plan, "Ready")["message"]


def test_a_secret_that_cannot_be_read_is_not_taken_for_one_that_is_there() -> None:
    unread = worlds.connector_world(secrets={"shop-db": Unknown(reason="GET secrets/shop-db: no answer")})
    plan = connector.plan(unread, worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert condition(plan, "CredentialsCurrent")["status"] == "Unknown"


def test_raw_properties_win() -> None:
    spec = {**worlds.CONNECTOR.spec, "config": {"snapshot.mode": "no_data"}}
    world = worlds.connector_world(resource=dataclasses.replace(worlds.CONNECTOR, spec=spec))
    plan = connector.plan(world, worlds.SETTINGS, worlds.NOW)

    (put,) = plan.actions
    assert isinstance(put, PutConnector)
    assert put.config["snapshot.mode"] == "no_data"


MARKED = (marks.RESOURCE, marks.NAMESPACE, marks.OFFSETS, marks.SLOT, marks.PUBLICATION, "headrace.other")


@pytest.mark.case("databases-17")
@pytest.mark.parametrize("name", [*IDENTITY, *MARKED])
def test_a_raw_property_cannot_change_what_offsets_slot_and_topics_hang_on(name: str) -> None:
    spec = {**worlds.CONNECTOR.spec, "config": {name: "other"}}
    plan = connector.plan(
        worlds.connector_world(resource=dataclasses.replace(worlds.CONNECTOR, spec=spec)), worlds.SETTINGS, worlds.NOW
    )

    assert plan.actions == ()
    assert condition(plan, "Accepted")["reason"] == "PropertyNotAllowed"
    assert f"spec.config.{name} is set by Headrace" in condition(plan, "Accepted")["message"]


@pytest.mark.parametrize(
    ("before", "after", "first"), [("Running", "Stopped", SetState), ("Stopped", "Running", PutConnector)]
)
def test_nothing_runs_by_a_configuration_that_shall_not_run(before: str, after: str, first: type) -> None:
    """An edit of state and configuration stops before it configures, and configures before it resumes."""
    one = {**worlds.CONNECTOR.spec, "state": before}
    world = statuses.changed(worlds.connector_world(), spec=one)
    made = statuses.acted(world, statuses.planned(world))
    edited = statuses.changed(made, spec={**one, "state": after, "config": {"snapshot.mode": "no_data"}}, generation=2)

    actions = statuses.planned(edited).actions

    assert {type(action) for action in actions} == {SetState, PutConnector}
    assert isinstance(actions[0], first)


def test_a_missing_secret_is_named() -> None:
    plan = connector.plan(worlds.connector_world(secrets={"shop-db": Absent()}), worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert "Secret shop-db does not exist" in condition(plan, "Ready")["message"]


@pytest.mark.parametrize(
    ("changes", "states", "left"),
    [
        ({}, ("RUNNING", "RUNNING"), True),
        ({"state": "Paused"}, ("PAUSED", "PAUSED"), True),
        ({"state": "Stopped"}, ("STOPPED",), True),
        ({}, ("RUNNING", "RUNNING", "FAILED"), False),
        ({}, ("FAILED",), False),
        ({}, ("PAUSED", "PAUSED"), False),
        ({"state": "Paused"}, ("RUNNING", "PAUSED"), False),
        ({}, ("UNASSIGNED",), False),
    ],
)
def test_only_what_is_as_wanted_is_left_alone(changes: dict[str, str], states: tuple[str, ...], left: bool) -> None:
    resource = worlds.resource("Connector", "orders-db", changes)
    state, *of_tasks = states
    tasks = tuple(TaskSeen(id=0, state=one, worker=None, trace=None) for one in of_tasks)
    seen = ConnectorSeen(name="shop.orders-db", config={"a": "b"}, state=state, trace=None, tasks=tasks)

    assert connector.is_left_alone(resource, {"a": "b"}, seen) is left
    assert not connector.is_left_alone(resource, {"a": "c"}, seen)
    assert not connector.is_left_alone(resource, None, seen)
