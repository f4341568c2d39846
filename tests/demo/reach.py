"""Reach the cluster by the programs that its users have: kubectl, helm and headrace, and nothing else.

It must not know what the demo does with them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import node
from tests.cluster.passing import outlasted
from tests.cluster.places import ROOT
from tests.waiting import PATIENCE

IN_VAIN = PATIENCE + 30
"""Seconds within which a program that waits for `PATIENCE` says that it did so in vain."""


class DemoError(Exception):
    """A step failed; ``str()`` says what was tried, what was seen, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The programs, and the environment that makes them reach one cluster."""

    kubectl: tuple[str, ...]
    helm: tuple[str, ...]
    headrace: tuple[str, ...]
    environment: Mapping[str, str]

    def show(self, *words: str, stdin: str | Path | None = None) -> None:
        """Print the command as a user would type it, with where its ``stdin`` comes from."""
        before = f"echo {shlex.quote(stdin)} | " if isinstance(stdin, str) else ""
        after = f" < {stdin.relative_to(ROOT)}" if isinstance(stdin, Path) else ""
        print(f"  $ {before}{shlex.join(words)}{after}", flush=True)

    def run(self, *words: str, stdin: str | None = None, timeout: float = IN_VAIN) -> str:
        """Run ``kubectl …``, ``helm …`` or ``headrace …`` and return its output. Raises DemoError.

        It is run again for as long as the cluster cannot answer.
        """
        command = [*self._program(words[0]), *words[1:]]
        try:
            done = outlasted(
                lambda: subprocess.run(
                    command,
                    input=stdin,
                    env=self.environment,
                    capture_output=True,
                    text=True,
                    timeout=timeout,
                    check=False,
                )
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`{shlex.join(words)}` did not answer within {timeout:.0f} s") from error
        if done.returncode:
            raise DemoError(f"`{shlex.join(words)}` failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def teach(self, *words: str, stdin: str | Path | None = None, timeout: float = IN_VAIN) -> str:
        """Show the command, then run it with ``stdin``, a text or a file of the repository. Raises DemoError."""
        self.show(*words, stdin=stdin)
        return self.run(*words, stdin=stdin.read_text() if isinstance(stdin, Path) else stdin, timeout=timeout)

    def get(self, kind: str, name: str, namespace: str = "shop") -> dict[str, Any]:
        """Return an object as the API server gives it. Raises DemoError."""
        found: dict[str, Any] = json.loads(self.run("kubectl", "-n", namespace, "get", kind, name, "-o", "json"))
        return found

    @contextmanager
    def forwarded(self, target: str, port: int, namespace: str = "shop") -> Iterator[int]:
        """Forward a local port, which is given, to ``port`` of ``target`` through the API server. Raises DemoError."""
        command = [*self.kubectl, "-n", namespace, "port-forward", target, f":{port}"]
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield _local_port(process, target)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            if process.stdout is not None:
                process.stdout.close()

    def _program(self, name: str) -> tuple[str, ...]:
        return {"kubectl": self.kubectl, "helm": self.helm, "headrace": self.headrace}[name]


def _local_port(process: subprocess.Popen[str], target: str) -> int:
    line = process.stdout.readline() if process.stdout is not None else ""
    found = re.search(r"127\.0\.0\.1:(\d+)", line)
    if found is None:
        raise DemoError(f"no port could be forwarded to {target}: {line.strip()}; is its pod running?")
    return int(found[1])


def local() -> Reach:
    """Reach the single-machine cluster, which must be up."""
    environment = os.environ | {"KUBECONFIG": str(node.kubeconfig())}
    return Reach(kubectl=tuple(node.kubectl()), helm=tuple(node.helm()), headrace=_headrace(), environment=environment)


def current() -> Reach:
    """Reach the cluster of the current kubectl context. Raises DemoError when kubectl or helm is missing."""
    if missing := [name for name in ("kubectl", "helm") if shutil.which(name) is None]:
        raise DemoError(f"not on the PATH: {', '.join(missing)}; install them, or leave CLUSTER=current out")
    return Reach(kubectl=("kubectl",), helm=("helm",), headrace=_headrace(), environment=dict(os.environ))


def _headrace() -> tuple[str, ...]:
    return (str(Path(sys.executable).parent / "headrace"),)
