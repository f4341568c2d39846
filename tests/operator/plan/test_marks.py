"""Whose a connector or a group is: its mark names a resource and that one's namespace, each by UID."""

from __future__ import annotations

import dataclasses
import json

import pytest

from headrace_operator.observed.connect import ConnectorSeen, TaskSeen, WorkersSeen
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import connectcluster, connector, consumer, marks, needs
from headrace_operator.plan.actions import Apply, Plan, PutConnector, RemoveConnector, SetState
from tests.operator import worlds
from tests.operator.worlds import condition

ELSEWHERE = {marks.RESOURCE: "b7a0", marks.NAMESPACE: "c0ffee"}
NAMESAKE = {marks.RESOURCE: "b7a0", marks.NAMESPACE: worlds.HOME}
BEFORE = {marks.RESOURCE: "b7a0"}
"""As releases before wrote it, for a resource of this name, here or elsewhere."""


def found(config: dict[str, str], *, home: str | Unknown = worlds.HOME, takes_over: tuple[str, ...] = ()) -> Plan:
    """Return what is done about the Connector where its name is that of a failing connector of this configuration."""
    resource = dataclasses.replace(
        worlds.CONNECTOR,
        takes_over=frozenset(takes_over),
        spec={**worlds.CONNECTOR.spec, "state": "Stopped"},
        generation=2,
    )
    failed = TaskSeen(id=0, state="FAILED", worker="w", trace="java.io.IOException: gone")
    seen = ConnectorSeen(name="shop.orders-db", config=config, state="RUNNING", trace=None, tasks=(failed,))
    world = worlds.connector_world(resource=resource, seen=seen, home=home)
    return connector.plan(world, worlds.SETTINGS, worlds.NOW)


@pytest.mark.parametrize("config", [ELSEWHERE, BEFORE, {"name": "theirs"}, {marks.NAMESPACE: ""}])
def test_a_connector_that_was_made_elsewhere_is_never_touched(config: dict[str, str]) -> None:
    """It is neither configured nor stopped nor restarted, whatever its resource of that name here wants."""
    plan = found(config)

    assert plan.actions == ()
    assert condition(plan, "Ready")["reason"] == "NameTaken"
    assert "restarts" not in plan.status


def test_what_to_do_names_the_annotation_and_its_value() -> None:
    assert "annotate it with headrace.dev/take-over=c0ffee" in condition(found(ELSEWHERE), "Running")["message"]
    assert "annotate it with headrace.dev/take-over=b7a0" in condition(found(BEFORE), "Running")["message"]
    forged = found({marks.NAMESPACE: "x --overwrite; rm"})
    assert "that Headrace did not make" in condition(forged, "Running")["message"]


@pytest.mark.parametrize(
    ("config", "takes_over"),
    [
        ({marks.RESOURCE: worlds.CONNECTOR.uid}, ()),
        ({marks.RESOURCE: worlds.CONNECTOR.uid, marks.NAMESPACE: "c0ffee"}, ()),
        ({**NAMESAKE, marks.OFFSETS: "Keep"}, ()),
        (NAMESAKE, ("b7a0", worlds.HOME)),
        (ELSEWHERE, ("a", "c0ffee")),
        (BEFORE, ("b7a0",)),
    ],
    ids=["of an earlier release", "its very own", "kept", "a namesake's", "taken over", "of an earlier, taken over"],
)
def test_what_is_its_own_is_marked_and_configured(config: dict[str, str], takes_over: tuple[str, ...]) -> None:
    plan = found(config, takes_over=takes_over)
    (put,) = [action for action in plan.actions if isinstance(action, PutConnector)]

    assert [one.verb for one in plan.actions if isinstance(one, SetState)] == ["stop"]
    assert marks.mark(worlds.CONNECTOR, worlds.HOME).items() <= put.config.items()


@pytest.mark.case("databases-12")
def test_what_a_namesake_before_it_left_is_not_gone_on_with() -> None:
    """It leaves with its offsets, by the pass over the ConnectCluster."""
    plan = found(NAMESAKE)

    assert plan.actions == ()
    assert condition(plan, "Ready")["reason"] == "NamesakeLeaves"
    assert "restarts" not in plan.status


def test_nothing_is_made_or_told_taken_while_the_namespace_is_not_known() -> None:
    unknown = Unknown(reason="GET namespaces/shop: no answer")
    absent = worlds.connector_world(home=unknown)

    assert found(ELSEWHERE, home=unknown).actions == ()
    assert condition(found(ELSEWHERE, home=unknown), "Running")["status"] == "Unknown"
    assert connector.plan(absent, worlds.SETTINGS, worlds.NOW).actions == ()


def workers(home: str | Unknown, **status: list[str]) -> Plan:
    """Return what is done about connectors of this namespace's name that seem to be nobody's."""
    marked = {
        "ours": worlds.MARKED,
        "theirs": ELSEWHERE,
        "before": BEFORE,
        "bare": {},
        worlds.CONNECTOR.name: {marks.RESOURCE: worlds.CONNECTOR.uid},
    }
    seen = {
        f"shop.{name}": ConnectorSeen(name=f"shop.{name}", config=config, state="RUNNING", trace=None, tasks=())
        for name, config in marked.items()
    }
    asked = WorkersSeen(version="4.3.1", kafka_cluster_id="k", plugins=(), connectors=seen)
    orphans = needs.orphans(worlds.CONNECT, asked, (worlds.CONNECTOR,))
    lost = {name: dataclasses.replace(seen[name], state="STOPPED", offsets=()) for name in orphans}
    world = worlds.connect_world(workers=asked, owners=dict.fromkeys(orphans, Absent()), orphans=lost, home=home)
    world = worlds.with_status(world, status)
    world = worlds.after_connect(world, connectcluster.plan(world, worlds.SETTINGS, worlds.NOW).actions)
    return connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)


def test_only_what_was_made_in_this_very_namespace_is_removed() -> None:
    """Those of another cluster's namespace of this name have no resource here, and were removed."""
    plan = workers(worlds.HOME)

    assert plan.actions == (RemoveConnector(url="http://main-connect.shop.svc:8083", connector="shop.ours"),)
    assert plan.status["unmanagedConnectors"] == ["shop.bare", "shop.before", "shop.theirs"]


def test_nothing_is_removed_while_the_namespace_is_not_known() -> None:
    plan = workers(Unknown(reason="no answer"), unmanagedConnectors=["told"])

    assert plan.actions == ()
    assert plan.status["unmanagedConnectors"] == ["told"]


def shared(
    *origins: str, takes_over: tuple[str, ...] = (), home: str | Unknown = worlds.HOME, state: str = "Running"
) -> Plan:
    """Return what is done about the Consumer in whose group pods of these namespaces have committed."""
    world = worlds.consumer_world(home=home)
    assert isinstance(world.backlog, BacklogSeen)
    spec = {**world.resource.spec, "state": state}
    resource = dataclasses.replace(world.resource, takes_over=frozenset(takes_over), spec=spec)
    backlog = dataclasses.replace(world.backlog, origins=frozenset(origins))
    world = dataclasses.replace(world, resource=resource, backlog=backlog)
    return consumer.plan(world, worlds.SETTINGS, worlds.NOW)


@pytest.mark.parametrize("origins", [("c0ffee",), (worlds.HOME, "c0ffee")])
@pytest.mark.parametrize("state", ["Running", "Paused"])
def test_no_pods_join_a_group_that_is_another_clusters(origins: tuple[str, ...], state: str) -> None:
    """Nor are its topics made or set."""
    plan = shared(*origins, state=state)

    assert plan.actions == ()
    assert condition(plan, "Ready")["reason"] == "NameTaken"
    assert "annotate it with headrace.dev/take-over=c0ffee" in condition(plan, "Deployed")["message"]


@pytest.mark.parametrize(
    ("origins", "takes_over"),
    [((), ()), ((worlds.HOME,), ()), (("c0ffee",), ("c0ffee",)), (("a", worlds.HOME), ("a", "b"))],
)
def test_pods_join_their_own_group_and_mark_it(origins: tuple[str, ...], takes_over: tuple[str, ...]) -> None:
    actions = shared(*origins, takes_over=takes_over).actions
    made = {one.manifest["kind"]: one.manifest for one in actions if isinstance(one, Apply)}

    assert json.loads(made["ConfigMap"]["data"]["config.json"])["mark"] == f"{worlds.HOME}/{worlds.CONSUMER.uid}"
    assert "Deployment" in made


def test_what_to_do_keeps_what_was_taken_over_before() -> None:
    message = condition(shared("a", "b", takes_over=("b",)), "Deployed")["message"]

    assert "headrace.dev/take-over=a,b" in message


def test_no_pods_are_made_while_the_namespace_is_not_known() -> None:
    plan = shared(home=Unknown(reason="GET namespaces/shop: no answer"))

    assert not [one for one in plan.actions if isinstance(one, Apply)]
    assert condition(plan, "Deployed")["message"] == "GET namespaces/shop: no answer"
