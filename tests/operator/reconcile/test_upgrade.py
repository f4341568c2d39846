"""An upgrade whose definitions take less than the ones before, at a real API server: what was accepted stays."""

from __future__ import annotations

import asyncio
import dataclasses
from functools import partial
from typing import Any

import pytest

from headrace_operator.api import crd
from headrace_operator.api.schema import API_VERSION
from headrace_operator.reconcile.turns import Key
from tests.cluster.client import refusal
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.operator_process import read
from tests.operator.plan import statuses
from tests.waiting import until

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-13")]

OLDER: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "Consumer": (("scale", "max"), {**worlds.CONSUMER.spec, "scale": {"max": 5000}}),
    "ConnectCluster": (("workers", "replicas"), {"kafka": "kafka", "workers": {"replicas": 5000}}),
}
"""A field that an earlier version let be greater, and a spec that makes use of it."""


@pytest.mark.parametrize("kind", ["Consumer", pytest.param("ConnectCluster", marks=pytest.mark.sweep)])
def test_what_was_accepted_before_an_upgrade_is_not_erased_and_its_pods_are_left_alone(
    server: ApiServer, kind: str
) -> None:
    field, spec = OLDER[kind]
    accepted = {"generation": 1, "spec": spec}
    _made_before(server, kind, field, spec, accepted)
    deployment = _run_before(server, kind)

    status = asyncio.run(_passed(server, kind))

    (said,) = [one for one in status["conditions"] if one["type"] == "Accepted"]
    assert status["accepted"] == accepted
    assert (said["status"], said["reason"]) == ("False", "InvalidSpec")
    assert f"spec.{'.'.join(field)}: " in said["message"]
    assert "it is kept, and what runs by it is left as it is" in said["message"]
    assert read(server, "deployment", deployment)["metadata"]["generation"] == 1
    mended = {"spec": {field[0]: {field[1]: 3}}}
    server.client.patch(kind, "upgraded", mended, "shop")
    assert asyncio.run(_passed(server, kind))["accepted"]["generation"] == 2
    server.client.delete(kind, "upgraded", "shop")


def _made_before(
    server: ApiServer, kind: str, field: tuple[str, ...], spec: dict[str, Any], accepted: dict[str, Any]
) -> None:
    """Make a resource by the earlier definition, with what the earlier operator accepted, and then upgrade."""
    (older,) = [one for one in crd.manifests() if one["spec"]["names"]["kind"] == kind]
    node = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for part in field:
        node = node["properties"][part]
    node["maximum"] = 9999
    made, another = (
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
        for name in ("upgraded", "another")
    )
    try:
        server.client.apply(older)
        until("the earlier definition", lambda: not refusal(partial(server.client.create, made)))
        server.client.patch(kind, "upgraded", {"status": {"accepted": accepted}}, "shop", part="status")
    finally:
        server.client.apply(crd.manifests())
    until("the definition", lambda: refusal(partial(server.client.create, another, dry=True)))


def _run_before(server: ApiServer, kind: str) -> str:
    """Make the Deployment that the earlier operator had made, and return its name."""
    uid = read(server, kind, "upgraded")["metadata"]["uid"]
    world = statuses.WORLDS[kind]()
    owner = worlds.resource(kind, "upgraded", world.resource.spec, uid=uid)
    made = statuses.planned(dataclasses.replace(world, resource=owner)).actions
    (deployment,) = [one.manifest for one in made if hasattr(one, "manifest") and one.manifest["kind"] == "Deployment"]
    server.client.apply(deployment)
    return str(deployment["metadata"]["name"])


async def _passed(server: ApiServer, kind: str) -> dict[str, Any]:
    async with loops.looping(server) as loop:
        await loops.look(loop, Key(kind, "shop", "upgraded"))
    status: dict[str, Any] = read(server, kind, "upgraded")["status"]
    return status
