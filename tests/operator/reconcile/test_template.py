"""A template on a real API server: each field set, taken out and given back, and nothing is ever left to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest

from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import PATCH, Api, connection, path
from headrace_operator.clients.errors import Invalid
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.value import Absent
from headrace_operator.plan.actions import Apply
from headrace_operator.plan.children import is_as_wanted
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.crowd import Patient
from tests.operator.operator_process import kubectl
from tests.operator.plan import statuses, templates

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-7")]

Json = dict[str, Any]


KINDS = {"Consumer": "billing", "ConnectCluster": "main"}
WORLDS: dict[str, Callable[..., Any]] = {
    "Consumer": partial(statuses.changed, worlds.consumer_world()),
    "ConnectCluster": worlds.protected_world,
}


class Shop:
    """A resource on an API server, and the objects that its template makes."""

    def __init__(self, api: Api, kind: str) -> None:
        self._api, self._kube, self._kind = api, Kube(api), kind
        self._name = KINDS[kind]

    async def _edited(self, spec: Json) -> None:
        """Make this the spec of the resource, as ``kubectl replace`` does."""
        where = path(API_VERSION, self._kind, "shop", self._name)
        if isinstance(await self._kube.resource(self._kind, "shop", self._name), Absent):
            metadata = {"name": self._name, "namespace": "shop"}
            made = {"apiVersion": API_VERSION, "kind": self._kind, "metadata": metadata, "spec": spec}
            await self._kube.apply(made)
        await self._api.send("PATCH", where, body=[{"op": "replace", "path": "/spec", "value": spec}], form=PATCH)

    async def refusal(self, spec: Json) -> str:
        """Return in which words the API server refuses such a resource: ``kubectl apply`` shows them."""
        made = {"apiVersion": API_VERSION, "kind": self._kind, "metadata": {"name": "refused"}, "spec": spec}
        strict = {"fieldValidation": "Strict", "dryRun": "All"}
        with pytest.raises(Invalid) as refused:
            await self._api.send("POST", path(API_VERSION, self._kind, "shop"), query=strict, body=made)
        return str(refused.value)

    async def given(self, template: Json, **more: Json) -> Json:
        """Apply the resource with this template, and what is planned; return its Deployment's spec, as it is held."""
        spec = {**templates.spec(self._kind, template), **more}
        await self._edited(spec)
        plan = statuses.planned(WORLDS[self._kind](spec=spec))
        assert worlds.condition(plan, "Accepted")["status"] == "True"
        made = [action.manifest for action in plan.actions if isinstance(action, Apply)]
        for manifest in made:
            await self._kube.apply(manifest)
        live = (await loops.held(self._kube, made)).objects
        assert not [one["kind"] for one in made if not is_as_wanted(one, live[one["kind"], one["metadata"]["name"]])]
        (deployment,) = [dict(one["spec"]) for (of, _), one in live.items() if of == "Deployment"]
        return deployment


@pytest.fixture
async def shops(server: ApiServer) -> AsyncIterator[Callable[[str], Shop]]:
    """Return what makes a resource of a kind on the API server."""
    api = Patient(await connection(str(server.kubeconfig)))
    try:
        yield lambda kind: Shop(api, kind)
    finally:
        await api.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.sweep)])
async def test_each_field_is_set_taken_out_and_given_back(shops: Callable[[str], Shop], kind: str, step: int) -> None:
    """What the pods are given follows, and the API server holds no more than is wanted."""
    shop, full = shops(kind), templates.FULL_OF[kind]
    whole = await shop.given(full)
    for at, less in islice(templates.lessened(kind), 0, None, step):
        assert await shop.given(less) != whole, at
        assert await shop.given(full) == whole, at


@pytest.mark.parametrize(("kind", "at", "value", "told"), templates.REFUSED_OF)
async def test_what_may_not_be_is_refused_in_a_sentence(
    shops: Callable[[str], Shop], kind: str, at: templates.Path, value: Any, told: str
) -> None:
    full = templates.FULL_OF[kind]
    said = await shops(kind).refusal(templates.spec(kind, templates.changed(full, at, value)))

    assert told in said
    assert "template" in said


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_template_the_pods_are_as_they_were(shops: Callable[[str], Shop], kind: str) -> None:
    shop = shops(kind)
    before = await shop.given({})
    assert await shop.given(templates.FULL_OF[kind]) != before
    assert await shop.given({}) == before


@pytest.mark.case("clusters-18")
async def test_a_rest_interface_is_protected_and_open_again_beside_a_template(shops: Callable[[str], Shop]) -> None:
    """What a template brings stays as it is, and nothing of the Secrets is left."""
    shop, full = shops("ConnectCluster"), templates.FULL_OF["ConnectCluster"]
    plain = await shop.given(full)
    protected = await shop.given(full, rest={"tls": {"secret": "certificate"}})

    own, others = ({one["name"]: one for one in spec["template"]["spec"]["volumes"]} for spec in (protected, plain))
    assert "projected" in own.pop("config")
    assert others.pop("config").keys() == {"name", "configMap"}
    assert own == others
    assert await shop.given(full) == plain


def test_a_consumer_with_every_field_is_taken_by_kubectl(server: ApiServer) -> None:
    metadata = {"name": "whole", "namespace": "shop"}
    spec = {**worlds.CONSUMER.spec, "template": templates.OF_CONSUMER}
    made = {"apiVersion": API_VERSION, "kind": "Consumer", "metadata": metadata, "spec": spec}
    kubectl(server, "apply", "-f", "-", text=json.dumps(made))

    held = json.loads(kubectl(server, "get", "consumer", "whole", "-n", "shop", "-o", "json"))
    assert held["spec"]["template"] == templates.OF_CONSUMER
