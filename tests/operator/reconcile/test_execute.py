"""Acts end within their deadline, so that none outlasts the Lease it was begun under."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from headrace_operator.clients.connect import Connect
from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Resource
from headrace_operator.plan.actions import CreateTopic
from headrace_operator.reconcile.execute import DEADLINE, execute
from headrace_operator.reconcile.remote import Remote
from tests.operator import worlds

pytestmark = pytest.mark.looptime


class Slow:
    """An API server that answers each request just before its deadline."""

    async def resource(self, kind: str, namespace: str, name: str) -> Resource:
        await asyncio.sleep(7.9)
        login = {"mechanism": "PLAIN", "credentials": {"secret": "login"}}
        spec = {**worlds.KAFKA_SPEC, "sasl": login}
        return worlds.resource(kind, name, spec, status={"accepted": {"generation": 1, "spec": spec}})

    async def secret_values(self, namespace: str, name: str) -> dict[str, str]:
        await asyncio.sleep(7.9)
        return {"username": "me", "password": "x"}


async def test_a_topic_is_not_made_by_an_act_whose_time_is_over() -> None:
    """Reading what is needed took so long that Kafka would be asked after the deadline: it is not asked."""
    kube = cast(Kube, Slow())
    remote = Remote(kube=kube, connect=cast(Connect, None), kafkas=Kafkas(kube))
    action = CreateTopic(namespace="shop", kafka="kafka", topic="retry.shop.billing", partitions=12)
    begun = asyncio.get_running_loop().time()

    with pytest.raises(Unreachable, match=r"did not create topic retry\.shop\.billing"):
        await execute(action, remote)

    assert asyncio.get_running_loop().time() - begun < DEADLINE
