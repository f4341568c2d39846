"""Secrets and ConfigMaps that pods read, on a real API server: a change of one is seen, and is one Apply."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace_operator.observed.kube import Inputs
from headrace_operator.observed.value import Absent
from headrace_operator.plan import inputs
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.observe import connections, consumer
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.operator_process import kubectl, read
from tests.operator.plan import statuses, templates
from tests.operator.reconcile.test_applied import left

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-10")]

PYTHON = {"python": {"function": "greeting:handle", "source": {"configMap": "greeting-code"}}}
SPEC = {**worlds.CONSUMER.spec, "handler": PYTHON, "template": {"env": [templates.ENV[1]]}}
CODE, LOGIN = ("ConfigMap", "greeting-code"), ("Secret", "shop-db")
CHANGES: tuple[tuple[str, ...], ...] = (
    ("patch", "configmap", "greeting-code", "-p", json.dumps({"data": {"greeting.py": "version TWO"}})),
    ("patch", "secret", "shop-db", "-p", json.dumps({"stringData": {"password": "another"}})),
)


async def seen(server: ApiServer) -> Inputs:
    """Return what a pass sees of what a Consumer's pods read when they start."""
    resource = dataclasses.replace(worlds.CONSUMER, spec=SPEC)
    async with loops.looping(server) as loop:
        world = await consumer.consumer(resource, loop.remote, History(), datetime.now(UTC))
    return world.inputs


def world(versions: Inputs) -> Any:
    code = frozenset({"greeting.py"})
    return statuses.changed(worlds.consumer_world(), spec=SPEC, code=code, inputs=versions)


async def test_a_changed_secret_or_config_map_replaces_pods_and_a_label_of_one_with_code_does_not(
    server: ApiServer,
) -> None:
    for kind, name in (("configmap", "greeting-code"), ("secret generic", "shop-db")):
        kubectl(server, "create", *kind.split(), name, "-n", "shop", "--from-literal=password=first")
    before = await seen(server)
    assert await left(server, world(before)) == ()

    for change in CHANGES:
        kubectl(server, *change, "-n", "shop")
        after = await seen(server)
        assert len([one for one in before if before[one] != after[one]]) == 1
        assert inputs.annotation(after, after, None) != inputs.annotation(before, before, None)
        assert await left(server, world(after)) == ()
        before = after

    kubectl(server, "label", "configmap", "greeting-code", "-n", "shop", "a=b")
    assert await seen(server) == before
    server.client.delete("secret", "shop-db", "shop")
    assert (await seen(server))[LOGIN] == Absent()


async def test_workers_are_seen_to_read_their_login(server: ApiServer) -> None:
    spec = {"bootstrapServers": "kafka:9092", "sasl": {"mechanism": "PLAIN", "credentials": {"secret": "kafka-login"}}}
    made = {"apiVersion": "headrace.dev/v1alpha1", "kind": "KafkaConnection", "spec": spec}
    server.client.apply({**made, "metadata": {"name": "secured"}}, "shop")
    accepted = {"status": {"accepted": {"generation": 1, "spec": spec}}}
    server.client.patch("kafkaconnection", "secured", accepted, "shop", part="status")
    kubectl(server, "create", "secret", "generic", "kafka-login", "-n", "shop", "--from-literal=password=p")
    resource = dataclasses.replace(
        worlds.CONNECT, spec={"kafka": "secured", "workers": {"template": {"envFrom": [templates.ENV_FROM[0]]}}}
    )

    async with loops.looping(server) as loop:
        observed = await connections.connect_cluster(resource, loop.remote)

    uid = read(server, "secret", "kafka-login")["metadata"]["uid"]
    assert observed.inputs.keys() == {("Secret", "kafka-login"), ("Secret", "shop-api")}
    assert str(observed.inputs["Secret", "kafka-login"]).startswith(uid)
