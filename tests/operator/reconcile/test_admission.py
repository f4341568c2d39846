"""What admission changes in what Headrace applies is left, and what people change is put back: a real webhook."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Manifest
from headrace_operator.plan.actions import Apply
from headrace_operator.plan.children import is_as_wanted
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.operator_process import kubectl
from tests.operator.plan import statuses
from tests.operator.plan.mutations import MUTATIONS, Patch

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-9")]

NAME = "mutated"
BY_HAND = (
    ("set", "image", f"deploy/{NAME}-consumer", "consumer=elsewhere/code:1"),
    ("set", "resources", f"deploy/{NAME}-consumer", "--limits=memory=128Mi"),
    ("scale", f"deploy/{NAME}-consumer", "--replicas=7"),
    ("label", "deploy", f"{NAME}-consumer", "--overwrite", "app.kubernetes.io/name=other"),
    (
        *("patch", "deploy", f"{NAME}-consumer", "--type=json", "-p"),
        json.dumps([{"op": "remove", "path": "/spec/template/spec/containers/0/livenessProbe"}]),
    ),
)


class Webhook:
    """A mutating webhook that does what it is told to each Deployment of one Consumer."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.patch: Patch = []
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a review with the patch, for an object that has not got it."""
        review = (await request.json())["request"]
        self.asked += 1
        needed = [one for one in self.patch if not _is_there(review["object"], one)]
        patch = base64.b64encode(json.dumps(needed).encode()).decode()
        said = {"uid": review["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        answer = web.json_response({**kind, "response": said})
        answer.force_close()  # else the API server keeps a connection, which outlives the test
        return answer


def _is_there(manifest: Any, change: Any) -> bool:
    """Tell whether a list already has an item of the name that a change adds to it."""
    for key in change["path"].split("/")[1:-1]:
        manifest = manifest[int(key)] if isinstance(manifest, list) else manifest.get(key, {})
    return isinstance(manifest, list) and any(one.get("name") == change["value"].get("name") for one in manifest)


def _configuration(server: ApiServer, port: int) -> dict[str, Any]:
    authority = base64.b64encode((server.pki / "ca.crt").read_bytes()).decode()
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    hook = {
        "name": "mutated.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": authority},
        "rules": [rule],
        "objectSelector": {"matchLabels": {"headrace.dev/consumer": NAME}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
    }
    api_version, kind = "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": NAME}, "webhooks": [hook]}


@pytest.fixture
async def webhook(server: ApiServer) -> AsyncIterator[Webhook]:
    """Serve a webhook, which the API server asks until the test is over."""
    made = Webhook(server)
    app = web.Application()
    app.router.add_post("/", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.pki / "apiserver.crt", server.pki / "apiserver.key")
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    configuration = _configuration(server, int(runner.addresses[0][1]))
    await asyncio.to_thread(kubectl, server, "apply", "-f", "-", text=json.dumps(configuration))
    try:
        yield made
    finally:
        await asyncio.to_thread(kubectl, server, "delete", "mutatingwebhookconfiguration", NAME)
        await runner.cleanup()


class Shop:
    """A Consumer, and what the API server holds of it."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube

    async def applied(self, **delivery: Any) -> list[Manifest]:
        """Apply what is planned, and return what is not as wanted then."""
        spec = {**worlds.CONSUMER.spec, "delivery": delivery}
        world = worlds.consumer_world(resource=dataclasses.replace(worlds.CONSUMER, name=NAME, spec=spec))
        self.made = [one.manifest for one in statuses.planned(world).actions if isinstance(one, Apply)]
        for manifest in self.made:
            await self.kube.apply(manifest)
        return await self.left()

    async def left(self) -> list[Manifest]:
        """Return what is not as wanted."""
        live = await loops.held(self.kube, self.made)
        self.deployment: Any = live.objects["Deployment", f"{NAME}-consumer"]
        return [one for one in self.made if not is_as_wanted(one, live.objects[one["kind"], one["metadata"]["name"]])]


@pytest.fixture
async def shop(server: ApiServer) -> AsyncIterator[Shop]:
    """Return a Consumer of which nothing is made yet."""
    async with loops.looping(server) as loop:
        yield Shop(loop.remote.kube)
        await asyncio.to_thread(kubectl, server, "delete", "deploy", f"{NAME}-consumer", "-n", "shop")


async def test_what_admission_changes_is_left(webhook: Webhook, shop: Shop) -> None:
    """Also after an edit of the Consumer, which reaches the pods all the same."""
    webhook.patch = MUTATIONS["a mirror of images"]
    while not webhook.asked:
        await shop.applied()
        await asyncio.sleep(0.1)

    for what, webhook.patch in MUTATIONS.items():
        await asyncio.to_thread(kubectl, webhook.server, "delete", "deploy", f"{NAME}-consumer", "-n", "shop")
        before = webhook.asked
        assert await shop.applied() == [], what
        assert webhook.asked > before
        first = shop.deployment["spec"]["template"]["spec"]["volumes"]
        assert await shop.applied(concurrency=3) == [], what
        assert shop.deployment["spec"]["template"]["spec"]["volumes"] != first


@pytest.mark.parametrize("arguments", BY_HAND, ids=[one[1] for one in BY_HAND])
async def test_what_people_change_is_put_back(server: ApiServer, shop: Shop, arguments: tuple[str, ...]) -> None:
    assert await shop.applied() == []

    await asyncio.to_thread(kubectl, server, *arguments, "-n", "shop")

    assert [one["kind"] for one in await shop.left()] == ["Deployment"]
    assert await shop.applied() == []
