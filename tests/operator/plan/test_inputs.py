"""What pods read when they start is in their template's hash, so that a change of it replaces them."""

from __future__ import annotations

from typing import Any

import pytest

from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import inputs
from headrace_operator.plan.actions import Apply
from tests.operator import worlds
from tests.operator.plan import statuses, templates

pytestmark = pytest.mark.case("clusters-10")

Json = dict[str, Any]
PYTHON = {"python": {"function": "greeting:handle", "source": {"configMap": "greeting"}}}
CODE, LOGIN, AWAY = ("ConfigMap", "greeting"), ("Secret", "shop-db"), Unknown(reason="no answer")
KAFKA = {
    "bootstrapServers": "kafka:9092",
    "tls": {"ca": {"secret": "authority", "key": "ca.crt"}, "certificate": {"secret": "client"}},
    "sasl": {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "login"}},
}
SECURED = worlds.resource("KafkaConnection", "kafka", KAFKA, status={"accepted": {"generation": 1, "spec": KAFKA}})
USED = {
    **{("Secret", name): f"uid-{name}/1" for name in ("shop-db", "shop-api")},
    **{("ConfigMap", name): f"digest of {name}" for name in ("shop", "rules")},
}
"""What the full template's pods read when they start: all but what only the kubelet and drivers do."""


def consumer(**changes: Any) -> Any:
    """Return a settled Consumer with code from a ConfigMap and a password from a Secret."""
    spec = {**worlds.CONSUMER.spec, "handler": PYTHON, "template": {"env": [templates.ENV[1]]}}
    seen = {CODE: "one", LOGIN: "uid/1"}
    world = statuses.changed(worlds.consumer_world(), spec=spec, code=frozenset({"greeting.py"}), inputs=seen)
    world = statuses.acted(world, statuses.planned(world))
    return statuses.changed(world, **changes)


def applied(world: Any) -> list[Json]:
    """Return the pod templates that the plan applies."""
    made = [one.manifest for one in statuses.planned(world).actions if isinstance(one, Apply)]
    return [one["spec"]["template"] for one in made if one["kind"] == "Deployment"]


@pytest.mark.parametrize(
    "seen", [{CODE: "two", LOGIN: "uid/1"}, {CODE: "one", LOGIN: "uid/2"}, {CODE: "one", LOGIN: Absent()}]
)
def test_a_change_replaces_pods_once(seen: Json) -> None:
    """Also that something is gone, or there at last; meanwhile the Consumer is rolling out."""
    world = consumer(inputs=seen)
    plan = statuses.planned(world)
    after = statuses.acted(world, plan)

    assert len(applied(world)) == 1
    assert worlds.condition(plan, "Deployed")["reason"] == "RollingOut"
    assert statuses.planned(after).actions == ()


def test_what_is_as_it_was_replaces_nothing() -> None:
    assert statuses.planned(consumer()).actions == ()


@pytest.mark.parametrize("seen", [{CODE: AWAY, LOGIN: "uid/1"}, {CODE: "two", LOGIN: AWAY}])
def test_what_is_not_answered_for_replaces_nothing(seen: Json) -> None:
    assert applied(consumer(inputs=seen)) == []


def test_everything_that_a_template_names_is_read() -> None:
    """Not so what the kubelet pulls images with, and what a storage driver is given."""
    read = {
        "Consumer": inputs.of_consumer,
        "ConnectCluster": lambda spec: inputs.of_workers(spec, None),
        "OutboxRelay": inputs.of_relay,
    }
    for kind, of in read.items():
        assert of(templates.spec(kind, templates.FULL_OF[kind])) == set(USED)


@pytest.mark.parametrize("name", ["login", "authority", "client"])
def test_workers_start_anew_with_another_login_to_kafka(name: str) -> None:
    """They read it as they start, unlike a consumer, which follows it by itself."""
    seen = {("Secret", "login"): "a/1", ("Secret", "authority"): "b/1", ("Secret", "client"): "c/1"}
    world = statuses.changed(worlds.connect_world(), kafka=SECURED, inputs=seen)
    world = statuses.acted(world, statuses.planned(world))
    assert statuses.planned(world).actions == ()

    assert len(applied(statuses.changed(world, inputs={**seen, ("Secret", name): "d/1"}))) == 1
    assert inputs.of_consumer(worlds.CONSUMER.spec) == frozenset()


def test_no_content_is_told() -> None:
    """The template has a hash over versions: of a Secret these are its UID and resourceVersion."""
    (template,) = applied(consumer(inputs={CODE: "two", LOGIN: "uid/7"}))

    assert len(template["metadata"]["annotations"][inputs.HASH]) == 16


@pytest.mark.parametrize(
    "spec", [{}, {"template": None}, {"template": "x"}, {"template": {"env": [{"valueFrom": {"secretKeyRef": {}}}]}}]
)
def test_of_a_spec_that_is_not_valid_nothing_is_made_up(spec: Json) -> None:
    assert inputs.of_consumer(spec) == frozenset()
    assert inputs.of_workers({"workers": spec}, None) == frozenset()
