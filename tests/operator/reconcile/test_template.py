"""A template on a real API server: each field set, taken out and given back, and nothing is ever left to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from headrace_operator.api.schema import API_VERSION
from headrace_operator.api.template import ConsumerTemplate
from headrace_operator.clients.api import PATCH, Api, connection, path
from headrace_operator.clients.errors import Invalid
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.value import Absent
from headrace_operator.plan.actions import Apply
from headrace_operator.plan.children import is_as_wanted
from headrace_operator.reconcile.observe import consumer
from tests.cluster.fast import ApiServer
from tests.operator import worlds
from tests.operator.operator_process import kubectl
from tests.operator.plan import statuses, templates

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-7")]

Json = dict[str, Any]


class Shop:
    """A Consumer on an API server, and the objects that its template makes."""

    def __init__(self, api: Api) -> None:
        self._api, self._kube = api, Kube(api)

    async def _edited(self, spec: Json) -> None:
        """Make this the spec of the Consumer, as ``kubectl replace`` does."""
        if isinstance(await self._kube.resource("Consumer", "shop", "billing"), Absent):
            metadata = {"name": "billing", "namespace": "shop"}
            await self._kube.apply({"apiVersion": API_VERSION, "kind": "Consumer", "metadata": metadata, "spec": spec})
        where = path(API_VERSION, "Consumer", "shop", "billing")
        await self._api.send("PATCH", where, body=[{"op": "replace", "path": "/spec", "value": spec}], form=PATCH)

    async def refusal(self, template: Json) -> str:
        """Return in which words the API server refuses a Consumer with this template: ``kubectl apply`` shows them."""
        spec = {**worlds.CONSUMER.spec, "template": template}
        made = {"apiVersion": API_VERSION, "kind": "Consumer", "metadata": {"name": "refused"}, "spec": spec}
        strict = {"fieldValidation": "Strict", "dryRun": "All"}
        with pytest.raises(Invalid) as refused:
            await self._api.send("POST", path(API_VERSION, "Consumer", "shop"), query=strict, body=made)
        return str(refused.value)

    async def given(self, template: Json) -> Json:
        """Apply the Consumer with this template, and what is planned for it; return its Deployment, as it is held."""
        spec = {**worlds.CONSUMER.spec, "template": template}
        await self._edited(spec)
        plan = statuses.planned(statuses.changed(worlds.consumer_world(), spec=spec))
        assert worlds.condition(plan, "Accepted")["status"] == "True"
        made = [action.manifest for action in plan.actions if isinstance(action, Apply)]
        for manifest in made:
            await self._kube.apply(manifest)
        live = await self._kube.children("shop", "billing-consumer", consumer.CHILDREN, "nobody=nothing")
        assert [
            one["kind"] for one in made if not is_as_wanted(one, live.objects[one["kind"], "billing-consumer"])
        ] == []
        deployment: Json = live.objects["Deployment", "billing-consumer"]["spec"]
        return deployment


@pytest.fixture
async def shop(server: ApiServer) -> AsyncIterator[Shop]:
    """Return the Consumer on the API server."""
    api = Api(await connection(str(server.kubeconfig)))
    try:
        yield Shop(api)
    finally:
        await api.close()


async def test_each_field_is_set_taken_out_and_given_back(shop: Shop) -> None:
    """What the pods are given follows, and the API server holds no more than is wanted."""
    whole = await shop.given(templates.OF_CONSUMER)
    for at in templates.paths(templates.OF_CONSUMER):
        less = templates.without(templates.OF_CONSUMER, at)
        try:
            ConsumerTemplate.model_validate(less)
        except ValidationError:
            continue
        assert await shop.given(less) != whole, at
        assert await shop.given(templates.OF_CONSUMER) == whole, at


@pytest.mark.parametrize(("at", "value", "told"), templates.REFUSED)
async def test_what_may_not_be_is_refused_in_a_sentence(shop: Shop, at: templates.Path, value: Any, told: str) -> None:
    said = await shop.refusal(templates.changed(templates.OF_CONSUMER, at, value))

    assert told in said
    assert "spec.template" in said


async def test_without_a_template_the_pods_are_as_they_were(shop: Shop) -> None:
    before = await shop.given({})
    assert await shop.given(templates.OF_CONSUMER) != before
    assert await shop.given({}) == before


def test_a_consumer_with_every_field_is_taken_by_kubectl(server: ApiServer) -> None:
    metadata = {"name": "whole", "namespace": "shop"}
    spec = {**worlds.CONSUMER.spec, "template": templates.OF_CONSUMER}
    made = {"apiVersion": API_VERSION, "kind": "Consumer", "metadata": metadata, "spec": spec}
    kubectl(server, "apply", "-f", "-", text=json.dumps(made))

    held = json.loads(kubectl(server, "get", "consumer", "whole", "-n", "shop", "-o", "json"))
    assert held["spec"]["template"] == templates.OF_CONSUMER
