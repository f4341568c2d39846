"""What others add to a Deployment by hand, against a real API server, and the operator after it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from headrace_operator.plan.actions import Apply
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.operator_process import kubectl
from tests.operator.plan import statuses
from tests.operator.reconcile.test_applied import left

pytestmark = pytest.mark.apiserver


def test_an_environment_set_by_hand_outlives_edits(server: ApiServer) -> None:
    """Nothing is left to do about it, and an edit of the Consumer keeps it."""
    world = statuses.WORLDS["Consumer"]()
    kubectl(server, "create", "secret", "generic", "shop-api", "-n", "shop", "--from-literal=TOKEN=t")
    assert asyncio.run(left(server, world)) == ()

    kubectl(server, "-n", "shop", "set", "env", "deploy/billing-consumer", "--from=secret/shop-api")

    assert asyncio.run(left(server, world)) == ()
    asyncio.run(_edited(server))
    (container,) = _deployment(server)["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in container["env"]] == ["TOKEN"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "shop-api"


async def _edited(server: ApiServer) -> None:
    world = statuses.changed(
        statuses.WORLDS["Consumer"](), spec={**worlds.consumer_world().resource.spec, "delivery": {"concurrency": 2}}
    )
    async with loops.looping(server) as loop:
        for action in statuses.planned(world).actions:
            if isinstance(action, Apply):
                await loop.remote.kube.apply(action.manifest)


def _deployment(server: ApiServer) -> Any:
    return json.loads(kubectl(server, "get", "deployment", "billing-consumer", "-n", "shop", "-o", "json"))
