"""A Consumer's plan: topics first, then its objects, and a status that says why."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from headrace import config as contract
from headrace.worker import run
from headrace_operator.api.durations import seconds
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen, Rates
from headrace_operator.observed.kube import Children, PodSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Apply, CreateTopic
from tests.operator import worlds
from tests.operator.worlds import condition


def test_first_pass_makes_topics_with_the_partitions_of_the_source_and_the_objects() -> None:
    plan = consumer.plan(worlds.consumer_world(), worlds.SETTINGS, worlds.NOW)

    topics = {action.topic: action.partitions for action in plan.actions if isinstance(action, CreateTopic)}
    assert topics == {
        "retry.shop.billing": 12,
        "dlq.shop.billing": 12,
        "dlq.shop.billing.resolutions": 1,
    }
    kinds = [action.manifest["kind"] for action in plan.actions if isinstance(action, Apply)]
    assert kinds == ["ServiceAccount", "PodDisruptionBudget", "ConfigMap", "Deployment"]


def test_a_second_pass_over_the_world_it_made_plans_nothing() -> None:
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    world = worlds.with_status(worlds.after_consumer(world, first.actions), first.status)
    second = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    third = consumer.plan(worlds.with_status(world, second.status), worlds.SETTINGS, worlds.NOW.replace(minute=59))

    assert second.actions == ()
    assert third.actions == ()
    assert third.status == second.status
    assert third.notes == ()
    assert condition(second, "Ready")["status"] == "True"


def test_children_carry_only_our_labels_and_a_plain_owner() -> None:
    plan = consumer.plan(worlds.consumer_world(), worlds.SETTINGS, worlds.NOW)

    for action in plan.actions:
        if isinstance(action, Apply):
            metadata = action.manifest["metadata"]
            assert set(metadata["annotations"]) == {"headrace.dev/applied"}
            assert metadata["labels"]["app.kubernetes.io/instance"] == "billing"
            assert metadata["labels"]["app.kubernetes.io/managed-by"] == "headrace"
            assert metadata["labels"]["headrace.dev/pipeline"] == "orders"
            assert "kustomize.toolkit.fluxcd.io/name" not in metadata["labels"]
            assert "blockOwnerDeletion" not in metadata["ownerReferences"][0]


def test_the_contract_in_the_config_map_is_what_the_runtime_reads() -> None:
    plan = consumer.plan(worlds.consumer_world(), worlds.SETTINGS, worlds.NOW)

    made = next(a.manifest for a in plan.actions if isinstance(a, Apply) and a.manifest["kind"] == "ConfigMap")
    document = contract.load(made["data"]["config.json"])
    assert document.topics.sources == (worlds.TOPIC,)
    assert document.group == "headrace.shop.billing"
    assert document.handler.http == contract.Http(url="http://billing:8080/events", timeout=10)


@pytest.mark.parametrize(
    ("python", "delivery", "workers", "memory", "limit"),
    [
        ({}, {}, 8, None, "512Mi"),
        ({"isolation": "Thread"}, {"concurrency": 3}, 3, None, "512Mi"),
        ({"isolation": "Process"}, {}, 2, 256 << 20, "1024Mi"),
        ({"isolation": "Process"}, {"concurrency": 5}, 5, 256 << 20, "1792Mi"),
    ],
)
def test_the_container_has_room_for_what_all_its_workers_may_take(
    python: dict[str, Any], delivery: dict[str, Any], workers: int, memory: int | None, limit: str
) -> None:
    asked = {"handler": {"python": {"function": "billing:handle", **python}}, "delivery": delivery}
    resource = dataclasses.replace(worlds.CONSUMER, spec={**worlds.CONSUMER.spec, **asked})
    plan = consumer.plan(worlds.consumer_world(resource=resource), worlds.SETTINGS, worlds.NOW)

    made = {action.manifest["kind"]: action.manifest for action in plan.actions if isinstance(action, Apply)}
    document = contract.load(made["ConfigMap"]["data"]["config.json"])
    (container,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert document.delivery.concurrency == workers
    assert document.handler.python is not None
    assert document.handler.python.memory == memory
    assert container["resources"]["limits"] == {"memory": limit}


@pytest.mark.case("delivery-18")
@pytest.mark.parametrize("grace", [None, 20, 45, 600])
def test_a_pod_has_longer_to_stop_than_its_process_takes_at_the_latest(grace: int | None) -> None:
    spec = {**worlds.CONSUMER.spec, "template": {"terminationGracePeriodSeconds": grace} if grace else {}}
    world = worlds.consumer_world(resource=dataclasses.replace(worlds.CONSUMER, spec=spec))
    plan = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    made = {action.manifest["kind"]: action.manifest for action in plan.actions if isinstance(action, Apply)}
    stop = contract.load(made["ConfigMap"]["data"]["config.json"]).stop

    assert stop == {None: 30, 20: 5, 45: 30, 600: 585}[grace]
    assert made["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > stop + run.WATCHDOG


@pytest.mark.case("delivery-18")
@pytest.mark.parametrize("timeout", ["0s", "25h", "9" * 400 + "h"])
def test_a_length_of_time_without_sense_is_refused_where_the_definitions_are_older(timeout: str) -> None:
    """The field is named, nothing is made of it, and it would be refused by the pod, too."""
    handler = {"python": {"function": "billing:handle", "timeout": timeout}}
    world = worlds.consumer_world()
    resource = worlds.resource("Consumer", "billing", {**world.resource.spec, "handler": handler})
    plan = consumer.plan(dataclasses.replace(world, resource=resource), worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert condition(plan, "Accepted")["status"] == "False"
    assert "handler.python.timeout" in condition(plan, "Accepted")["message"]
    with pytest.raises(ValueError, match="timeout"):
        contract.Python(function="billing:handle", timeout=seconds(timeout, 30))


def test_every_pod_meets_the_restricted_standard() -> None:
    plan = consumer.plan(worlds.consumer_world(), worlds.SETTINGS, worlds.NOW)

    made = next(a.manifest for a in plan.actions if isinstance(a, Apply) and a.manifest["kind"] == "Deployment")
    pod = made["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("changes", "kind", "reason", "words"),
    [
        ({"topics": {}}, "TopicsReady", "AwaitingTopic", f"{worlds.TOPIC} from Connector orders-db (route order)"),
        ({"connector": Absent(), "connect": None}, "TopicsReady", "ConnectorNotFound", "Connector orders-db does not"),
        ({"connect": Absent(), "kafka": None}, "TopicsReady", "ConnectClusterNotFound", "ConnectCluster main does not"),
        ({"kafka": Absent()}, "TopicsReady", "KafkaConnectionNotFound", "KafkaConnection kafka does not"),
        ({"topics": Unknown(reason="no answer")}, "TopicsReady", "KafkaUnreachable", "no answer"),
        ({"code": Absent()}, "Deployed", "CodeNotFound", "ConfigMap"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], kind: str, reason: str, words: str) -> None:
    plan = consumer.plan(worlds.consumer_world(**changes), worlds.SETTINGS, worlds.NOW)

    assert not [action for action in plan.actions if isinstance(action, Apply)]
    assert condition(plan, kind)["reason"] == reason
    assert words in condition(plan, kind)["message"]
    assert condition(plan, "Ready")["status"] == "False"


def test_a_bad_edit_leaves_what_runs_and_says_which_field() -> None:
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    world = worlds.with_status(worlds.after_consumer(world, first.actions), first.status)
    bad = {**worlds.CONSUMER.spec, "handler": {"http": {"url": "ftp://x"}}}
    edited = dataclasses.replace(world.resource, spec=bad, generation=2)

    plan = consumer.plan(dataclasses.replace(world, resource=edited), worlds.SETTINGS, worlds.NOW)

    assert plan.actions == ()
    assert plan.status["accepted"]["generation"] == 1
    assert condition(plan, "Accepted")["status"] == "False"
    assert "spec.handler.http.url" in condition(plan, "Accepted")["message"]
    assert condition(plan, "Stalled")["status"] == "True"
    assert not condition(plan, "Reconciling")


def test_a_failing_pod_speaks_through_the_condition() -> None:
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    made = worlds.after_consumer(world, first.actions)
    assert isinstance(made.children, Children)
    objects = {
        key: {**value, "status": {}} if key[0] == "Deployment" else value
        for key, value in made.children.objects.items()
    }
    pod = PodSeen(
        name="billing-consumer-1",
        phase="Running",
        ready=False,
        restarts=1,
        waiting_reason="CrashLoopBackOff",
        message="module billing has no function handle",
    )
    broken = dataclasses.replace(made, children=Children(objects=objects, pods=(pod,)))

    plan = consumer.plan(broken, worlds.SETTINGS, worlds.NOW)

    assert condition(plan, "Ready")["reason"] == "PodsFailing"
    assert "no function handle" in condition(plan, "Ready")["message"]


def test_ready_does_not_depend_on_lag_dead_letters_or_scaling() -> None:
    world = worlds.consumer_world()
    first = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    world = worlds.with_status(worlds.after_consumer(world, first.actions), first.status)
    part = PartitionSeen(topic=worlds.TOPIC, partition=0, start=0, end=90000, committed=0, lag_seconds=900.0)
    behind = BacklogSeen(at=worlds.NOW, partitions=(part,), dead_letters_total=7, dead_letters_outstanding=7)

    plan = consumer.plan(
        dataclasses.replace(world, backlog=behind, rates=worlds.BEHIND),
        worlds.SETTINGS,
        worlds.NOW + timedelta(minutes=5),
    )

    assert condition(plan, "Ready")["status"] == "True"
    assert condition(plan, "WithinTarget")["reason"] == "AboveTarget"
    assert plan.status["lag"]["records"] == 90000
    assert plan.status["deadLetters"]["outstanding"] == 7
    assert (plan.status["scaling"]["desired"], plan.status["scaling"]["previous"]) == (2, 1)


@pytest.mark.parametrize(
    ("seconds", "at_least", "status"), [(3.0, True, "Unknown"), (3.0, False, "True"), (30.0, True, "False")]
)
def test_a_record_that_was_there_before_anybody_looked_is_not_said_to_be_within_the_target(
    seconds: float, at_least: bool, status: str
) -> None:
    part = PartitionSeen(
        topic=worlds.TOPIC, partition=0, start=0, end=9, committed=0, lag_seconds=seconds, at_least=at_least
    )
    seen = BacklogSeen(at=worlds.NOW, partitions=(part,))

    plan = consumer.plan(worlds.consumer_world(backlog=seen), worlds.SETTINGS, worlds.NOW)

    assert condition(plan, "WithinTarget")["status"] == status


@pytest.mark.case("scaling-7")
@pytest.mark.parametrize(("next_", "says"), [(400, True), (399, False)])
def test_a_target_that_is_missed_for_an_open_transaction_says_so(next_: int, says: bool) -> None:
    """Only where all that may be read was handled; before, the transaction is not what a record waits for."""
    part = PartitionSeen(
        topic=worlds.TOPIC, partition=0, start=0, stable=400, end=500, committed=next_, lag_seconds=99.0
    )
    seen = BacklogSeen(at=worlds.NOW, partitions=(part,))

    plan = consumer.plan(worlds.consumer_world(backlog=seen), worlds.SETTINGS, worlds.NOW)

    assert condition(plan, "WithinTarget")["reason"] == "AboveTarget"
    assert ("a transaction that its producer has not ended" in condition(plan, "WithinTarget")["message"]) == says


def test_records_that_were_read_are_what_lags_and_an_unknown_count_says_why() -> None:
    retry = PartitionSeen(
        topic="retry.shop.billing", partition=0, start=0, end=9, committed=None, lag_seconds=0.0, waiting=0
    )
    seen = BacklogSeen(at=worlds.NOW, partitions=(retry,), dead_letters_unknown="still being read")

    plan = consumer.plan(worlds.consumer_world(backlog=seen), worlds.SETTINGS, worlds.NOW)

    assert plan.status["lag"]["records"] == 0
    assert condition(plan, "WithinTarget")["message"] == "No record waits longer than the target of 10 s."
    assert plan.status["deadLetters"] == {"topic": "dlq.shop.billing", "message": "still being read"}


def test_missing_figures_never_lower_replicas() -> None:
    world = worlds.consumer_world(backlog=Unknown(reason="no answer"), rates=Rates(arrivals=None, handled=None))
    scaled = worlds.with_status(world, {"scaling": {"desired": 3, "time": "2026-01-01T00:00:00Z"}})

    assert consumer.plan(scaled, worlds.SETTINGS, worlds.NOW).status["scaling"]["desired"] == 3


def test_unknown_topics_lower_nothing_either() -> None:
    """How many partitions there are is not known then, so that they limit nothing."""
    deployment = {"metadata": {"generation": 1}, "spec": {"replicas": 20}, "status": {}}
    many = dataclasses.replace(worlds.CONSUMER, spec={**worlds.CONSUMER.spec, "scale": {"max": 30}})
    world = worlds.consumer_world(
        resource=many,
        topics=Unknown(reason="no answer"),
        backlog=Unknown(reason="no answer"),
        rates=Rates(arrivals=None, handled=None),
        children=Children(objects={("Deployment", "billing-consumer"): deployment}),
    )
    scaled = worlds.with_status(world, {"scaling": {"desired": 20, "time": "2026-01-01T00:00:00Z"}})

    assert consumer.plan(scaled, worlds.SETTINGS, worlds.NOW).status["scaling"]["desired"] == 20


def test_unknown_children_leave_figures_and_memory_as_they_were() -> None:
    before = {"replicas": 3, "readyReplicas": 2, "scaling": {"desired": 3, "time": "2026-01-01T00:00:00Z"}}
    nothing = Unknown(reason="no answer")
    world = worlds.with_status(worlds.consumer_world(children=nothing, topics=nothing, backlog=nothing), before)

    status = consumer.plan(world, worlds.SETTINGS, worlds.NOW).status

    assert (status["replicas"], status["readyReplicas"]) == (3, 2)
    assert status["scaling"]["desired"] == 3
