"""The commands that the README gives for one's own cluster, run as they stand against a real API server."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cluster import build, fast
from tests.cluster.images.__main__ import values
from tests.cluster.passing import outlasted
from tests.operator.operator_process import await_kinds, kubectl
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SECTION = re.search(
    r"^## On your own cluster$(.+?)^## Where to go next$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
)
PROGRAMS = ("helm", "kubectl")


NEEDS_PODS = frozenset({"exec", "test", "wait"})


def commands() -> list[list[str]]:
    """Return the commands of the section in their order, the block's and those within the text; no pod runs here."""
    assert SECTION
    found = re.findall(r"```\n(.+?)```|`([^`\n]+)`", SECTION[1], re.DOTALL)
    lines = [line for block, inline in found for line in (block or inline).replace("\\\n", " ").splitlines()]
    return [
        words
        for line in lines
        if (words := shlex.split(line.replace("…", "x"))) and words[0] in PROGRAMS and not NEEDS_PODS & set(words)
    ]


@pytest.mark.apiserver
def test_the_commands_install_a_pipeline_and_remove_it(tmp_path: Path) -> None:
    """Each succeeds; the four resources are there before the last ones remove them, and nothing is left."""
    images = tmp_path / "images.yaml"
    images.write_text(values({name: f"host/path/{name}:1" for name in ("operator", "runtime", "connect", "agent")}))
    with fast.apiserver() as server:
        listed = [
            _run(server, [str(images) if word == images.name else word for word in words]) for words in commands()
        ]
        left = kubectl(server, "get", "crd,deployments", "-A", "-o", "name")

    (resources,) = [out for words, out in zip(commands(), listed, strict=True) if words[-2:] == ["get", "headrace"]]
    kinds = [line.split(".")[0] for line in resources.splitlines() if "/" in line]
    assert sorted(kinds) == ["connectcluster", "connector", "consumer", "kafkaconnection"]
    assert left == ""


def _run(server: fast.ApiServer, words: list[str]) -> str:
    folder = build.folder()
    environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig), "KUBECACHEDIR": str(server.cache)}
    done = outlasted(
        lambda: subprocess.run(
            [str(folder / words[0]), *words[1:]],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stderr}"
    if words[:1] == ["helm"] and "headrace-crds" in words:
        await_kinds(server)
    return done.stdout
