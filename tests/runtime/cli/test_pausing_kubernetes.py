"""``headrace pause`` and ``resume`` against a real API server: what they write, with which rights, what they say."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace_operator.api import crd
from headrace_operator.api.schema import API_VERSION
from tests.cluster import fast
from tests.cluster.client import refusal
from tests.cluster.fast import ApiServer
from tests.operator.operator_process import install
from tests.runtime.cli import users
from tests.runtime.cli.users import headrace
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-13")]

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/consumer-runtime.md"


def kubectl(server: ApiServer, *words: str, text: str | None = None) -> str:
    done = subprocess.run(
        [*server.kubectl, *words], input=text, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return done.stdout


def consumer(server: ApiServer) -> dict[str, Any]:
    return server.client.get("hrc", "billing", "shop")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with fast.apiserver() as made:
        install(made)
        made.client.create_namespace("shop")
        kubectl(made, "apply", "-n", "shop", "-f", str(ROOT / "operator/examples/outbox.yaml"))
        yield made


@pytest.fixture(scope="module")
def ada(server: ApiServer) -> Path:
    """The kubeconfig of a user who has the rights that the guide shows, and no others."""
    return users.ada(server, PAGE, "hrc", "billing")


def test_a_consumer_is_paused_and_goes_on_as_it_was(server: ApiServer, ada: Path) -> None:
    before = consumer(server)["spec"]

    code, out, _ = headrace(ada, "pause", "billing", "-n", "shop")
    paused = consumer(server)["spec"]
    again, _, _ = headrace(ada, "pause", "billing", "-n", "shop")
    resumed, told, _ = headrace(ada, "resume", "billing", "-n", "shop")

    assert (code, again, resumed) == (0, 0, 0)
    assert (out, told) == ("shop/billing: paused\n", "shop/billing: resumed\n")
    assert paused == {**before, "state": "Paused"}
    assert consumer(server)["spec"] == before


def test_what_stands_in_a_manifest_that_is_applied_again_leaves_the_pause(server: ApiServer, ada: Path) -> None:
    """Where the manifest has no ``state``; so GitOps and a person do not fight."""
    headrace(ada, "pause", "billing", "-n", "shop")

    kubectl(server, "apply", "-n", "shop", "-f", str(ROOT / "operator/examples/outbox.yaml"))
    text = kubectl(server, "create", "-n", "shop", "-f", str(ROOT / "operator/examples/outbox.yaml"),
                   "--dry-run=client", "-o", "yaml")  # fmt: skip
    kubectl(server, "apply", "-n", "shop", "--server-side", "--force-conflicts", "-f", "-", text=text)

    assert consumer(server)["spec"]["state"] == "Paused"
    headrace(ada, "resume", "billing", "-n", "shop")


def test_what_cannot_be_done_is_told(server: ApiServer, ada: Path) -> None:
    code, _, said = headrace(ada, "pause", "nobody", "-n", "shop")
    assert (code, "no consumers.headrace.dev nobody in namespace shop" in said) == (3, True)

    code, _, said = headrace(server.kubeconfig_for("bob"), "pause", "billing", "-n", "shop")
    assert (code, "you may not patch consumers.headrace.dev billing in namespace shop" in said) == (4, True)


def test_a_definition_without_the_field_is_told_not_taken_for_done(server: ApiServer) -> None:
    older = next(one for one in crd.manifests() if one["spec"]["names"]["kind"] == "Consumer")
    del older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["state"]
    other = {"apiVersion": API_VERSION, "kind": "Consumer", "metadata": {"name": "other"}}
    spec = {**consumer(server)["spec"], "state": "Paused"}
    paused = partial(server.client.create, {**other, "spec": spec}, "shop", dry=True)
    try:
        server.client.apply(older)
        until("the earlier definition", lambda: 'unknown field "spec.state"' in refusal(paused))
        _, out, said = headrace(server.kubeconfig, "pause", "billing", "-n", "shop")
    finally:
        server.client.apply(crd.manifests())

    assert out == ""
    assert "upgrade the chart headrace-crds" in said
