"""``headrace status`` over the real kinds on a real API server, with and without anything in their status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import fast
from tests.cluster.fast import ApiServer
from tests.operator.operator_process import install
from tests.waiting import PATIENCE

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).parents[3]
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Running",
    "message": "as asked",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}


def headrace(server: ApiServer, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "from headrace.cli import app; app()", "status", "--kubeconfig"]
    done = subprocess.run(
        [*command, str(server.kubeconfig), *words], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with fast.apiserver() as made:
        install(made)
        made.client.create_namespace("shop")
        made.client.create_namespace("empty")
        made.client.apply((ROOT / "operator" / "examples" / "outbox.yaml").read_text(), "shop")
        status = {
            "observedGeneration": 1,
            "conditions": [READY],
            "replicas": 2,
            "readyReplicas": 2,
            "lag": {"records": 70, "seconds": 3},
            "deadLetters": {"topic": "dlq.shop.billing", "outstanding": 5},
        }
        made.client.patch("consumer", "billing", {"status": status}, "shop", part="status")
        yield made


def test_what_has_said_nothing_yet_is_unwell_and_comes_first(server: ApiServer) -> None:
    code, out = headrace(server, "-n", "shop")
    lines = [line.split() for line in out.splitlines()]
    assert code == 1
    assert lines[0][:4] == ["KIND", "NAME", "READY", "REPLICAS"]
    assert [line[2] for line in lines[1:4]] == ["Unknown"] * 3
    assert lines[4] == ["Consumer", "billing", "True", "2/2", "70", "3", "5", "Running", "-"]


def test_one_consumer_that_is_well_is_well(server: ApiServer) -> None:
    code, out = headrace(server, "billing", "-n", "shop", "-o", "json")
    assert code == 0
    (row,) = json.loads(out)
    assert (row["name"], row["deadLetters"]) == ("consumer.headrace.dev/billing", "5")


def test_all_namespaces_are_shown_with_their_names(server: ApiServer) -> None:
    _, out = headrace(server, "-A")
    assert out.splitlines()[0].split()[0] == "NAMESPACE"
    assert len(out.splitlines()) == 5


def test_nothing_there_is_well_and_an_unknown_name_is_not_found(server: ApiServer) -> None:
    assert headrace(server, "-n", "empty") == (0, "")
    assert headrace(server, "nobody", "-n", "shop")[0] == 3
