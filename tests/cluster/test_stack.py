"""The stack's commands: shown as a person would type them, and explained when they fail."""

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster import build, fast
from tests.cluster.failure import ClusterError
from tests.cluster.stack import stack

pytestmark = pytest.mark.apiserver
MAP = '{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: default}, data: {some: "$value"}}'


@pytest.fixture(scope="module")
def server() -> Iterator[fast.ApiServer]:
    with fast.apiserver() as running:
        yield running


@pytest.fixture(autouse=True)
def _current(server: fast.ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
    monkeypatch.setenv("PATH", f"{build.folder()}:/usr/bin:/bin")


def part(manifest: str) -> stack.Part:
    return stack.Part(title="Some thing", namespace="default", source="kafka.yaml", manifest=manifest, awaited=())


def test_what_is_shown_does_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    stack.up([part(MAP)], current=True)

    [command] = re.findall(r"^  \$ (kubectl apply .+)$", capsys.readouterr().out, re.MULTILINE)
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)

    assert done.stdout == "configmap/settings serverside-applied\n"


def test_a_manifest_that_is_refused_is_explained() -> None:
    with pytest.raises(ClusterError) as refused:
        stack.up([part(MAP.replace("namespace: default", "namespace: gone"))], current=True)

    said = str(refused.value)
    assert f"log: {stack.LOG}" in said
    assert '"gone" not found' in said
    assert "what to do: mend what kubectl says of tests/cluster/stack/kafka.yaml" in said
