"""The cluster comes up and goes down from any state, also after a kill, and leaves nothing of itself behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.cluster import cgroups, isolation, lifecycle, node, places, settings, state
from tests.cluster.state import NodeState
from tests.test_no_survivors import descendants
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.lifecycle, pytest.mark.timeout(1200)]
KINDS = ("mnt", "net", "pid", "ipc", "uts")
MACHINE = {os.readlink(f"/proc/self/ns/{kind}") for kind in KINDS}
MOUNTS = isolation.mount_points(Path("/proc/self/mountinfo").read_text())


@pytest.fixture(autouse=True)
def _down() -> Iterator[None]:
    if state.is_alive(state.read(places.STATE)):
        pytest.skip("the cluster is up, and this would take it down: `make down` first")
    yield
    command("down")


def command(name: str) -> str:
    """Run a command of the cluster and return all that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", name], cwd=places.ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=2 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_pod() -> None:
    """Have the node run a container, of the only image that it has from the start."""
    kubectl = [*node.kubectl(), "--namespace=default"]
    pod = [*kubectl, "run", "rest", f"--image={settings.SANDBOX_IMAGE}", "--image-pull-policy=Never"]
    until("a pod to be taken, which needs its account", lambda: subprocess.run(pod, check=False).returncode == 0)
    subprocess.run([*kubectl, "wait", "pod/rest", "--for=condition=Ready", f"--timeout={PATIENCE:.0f}s"], check=True)


def processes() -> dict[int, int | None]:
    """The node's processes, those of its containers included: number to start time."""
    first = node.running().pid
    return {pid: state.start_ticks(pid) for pid in (first, *descendants(first))}


def spaces(pids: Iterable[int]) -> set[str]:
    """The namespaces of these processes that are not the machine's own."""
    files = [Path(f"/proc/{pid}/ns/{kind}") for pid in pids for kind in KINDS]
    return {link for file in files if (link := _link(file))} - MACHINE


def _link(file: Path) -> str:
    try:
        return os.readlink(file)
    except OSError:  # the process ended while we looked
        return ""


def kill() -> NodeState:
    """Kill the node's first process, which can tidy nothing up then, and return what it was."""
    seen = node.running()
    os.kill(seen.pid, signal.SIGKILL)
    until("the end of the node", lambda: not state.is_alive(seen))
    return seen


def assert_nothing_is_left(ran: dict[int, int | None], seen: set[str]) -> None:
    """No process, namespace, control group, mount or file of a run remains."""
    until("no process", lambda: not _left(ran))
    until("no namespace", lambda: not spaces(int(path.name) for path in Path("/proc").glob("[0-9]*")) & seen)
    assert cgroups.leftovers() == []
    assert isolation.mount_points(Path("/proc/self/mountinfo").read_text()) - MOUNTS == set()
    assert [path for path in (places.STATE, places.KUBECONFIG, places.VOLATILE, places.PKI) if path.exists()] == []


def _left(ran: dict[int, int | None]) -> list[int]:
    return [pid for pid, ticks in ran.items() if ticks is not None and state.start_ticks(pid) == ticks]


def test_up_and_down_may_be_said_twice_and_clean_up_after_a_kill() -> None:
    command("up")
    run_pod()
    first, ran = node.running(), processes()
    seen = spaces(ran)
    assert "[1/" not in command("up"), "what was up was brought up again"
    assert node.running().pid == first.pid
    assert kill().ticks == first.ticks
    assert cgroups.leftovers(), "the kill left nothing to clean, so that nothing is shown"

    said = command("up")

    assert lifecycle.is_ready()
    [line] = re.findall(r"^ *(export .+)$", said, re.MULTILINE)
    asked = ["/bin/sh", "-ec", f"{line}\nkubectl get node {places.NODE_NAME} && kubectl get pods -A"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    assert " Ready " in answer
    assert " rest " not in answer, "an earlier run's objects are there"

    run_pod()
    ran |= processes()
    seen |= spaces(ran)
    command("down")
    assert_nothing_is_left(ran, seen)
    assert "the cluster is down" in command("down")


def test_down_cleans_up_after_a_kill() -> None:
    command("up")
    run_pod()
    ran = processes()
    seen = spaces(ran)
    kill()

    command("down")

    assert_nothing_is_left(ran, seen)


def test_an_up_that_was_killed_half_way_is_begun_anew_by_the_next() -> None:
    words = [sys.executable, "-m", "tests.cluster", "up"]
    up = subprocess.Popen(words, cwd=places.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("the node's first process", lambda: state.is_alive(state.read(places.STATE)))
    up.kill()
    up.wait(PATIENCE)

    command("up")

    assert lifecycle.is_ready()
