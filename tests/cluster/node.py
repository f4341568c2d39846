"""Do something with the running node: run a program in its network or in all of it, and find its API.

It starts and stops nothing of the cluster itself.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from tests.cluster import build, places, state
from tests.cluster.failure import ClusterError
from tests.cluster.state import NodeState

Inside = Literal["network", "everything"]


def running() -> NodeState:
    """Give the running node's state. Raises ClusterError when there is none."""
    seen = state.read(places.STATE)
    if seen is None or not state.is_alive(seen):
        raise ClusterError("the cluster is not running", advice="run `make up`")
    return seen


def enter(inside: Inside = "network") -> list[str]:
    """Give the words to put before a command that is to run in the node.

    `network`: the machine's files, the node's network (so `localhost:5000` is its registry). `everything`: its files
    and processes too.
    """
    spaces = ["--net"] if inside == "network" else ["--net", "--mount", "--pid"]
    return ["nsenter", f"--target={running().pid}", *spaces, "--"]


def run(
    argv: Sequence[str],
    *,
    inside: Inside = "network",
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run `argv` in the node and give its standard output; `timeout` in seconds.

    Raises ClusterError with its standard error when it fails or takes too long.
    """
    command = [*enter(inside), *argv]
    try:
        done = subprocess.run(command, input=stdin, env=env, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(argv)}` took longer than {timeout} s in the node") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise ClusterError(f"`{' '.join(argv)}` failed in the node with exit code {done.returncode}: {reason}")
    return done.stdout.decode(errors="replace")


def kubeconfig() -> Path:
    """Give the administrator's kubeconfig of the running cluster, for use on this machine."""
    running()
    return places.KUBECONFIG


def kubectl() -> list[str]:
    """Give the words that call kubectl as the cluster's administrator."""
    return [str(build.folder() / "kubectl"), f"--kubeconfig={places.KUBECONFIG}"]


def helm() -> list[str]:
    """Give the words that call Helm as the cluster's administrator."""
    return [str(build.folder() / "helm"), f"--kubeconfig={places.KUBECONFIG}"]


def export() -> str:
    """Give the shell line after which kubectl, helm and this checkout's programs are found and reach the cluster."""
    folders = os.pathsep.join([str(build.folder()), str(Path(sys.executable).parent)])
    return f"export KUBECONFIG={shlex.quote(str(places.KUBECONFIG))} PATH={shlex.quote(folders)}:$PATH"


def pids() -> dict[int, int]:
    """Give the node's processes: number inside the node to number on the machine."""
    own = os.readlink(f"/proc/{running().pid}/ns/pid")
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns" / "pid") != own:
                continue
            lines = (entry / "status").read_text().splitlines()
        except OSError:  # ended while we looked
            continue
        numbers = next(line for line in lines if line.startswith("NSpid:")).split()
        found[int(numbers[-1])] = int(entry.name)
    return found
