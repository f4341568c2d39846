"""Bring the node up and down, whatever an earlier run left behind; only one of either at a time on a machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster import authority, build, cgroups, isolation, kubeconfig, node, packages, places, settings, state
from tests.cluster.alone import alone
from tests.cluster.failure import ClusterError
from tests.cluster.progress import Steps, duration, say
from tests.cluster.state import NodeState

START_SECONDS = 300.0
STOP_SECONDS = 15.0
NAMESPACES = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--propagation", "unchanged"]
SUPERVISOR_LOG = places.LOG / "supervisor.log"


def up() -> None:
    """Bring the cluster up and return when its node is ready and answers names; do nothing when it is up.

    Raises ClusterError when a part of it does not come up; nothing is left running then.
    """
    if os.geteuid() != 0:
        raise ClusterError(
            "the cluster needs root (namespaces, mounts, cgroups)", advice="run the same command as root"
        )
    with alone(places.LOCK, "`up` or `down`"):
        if is_ready():
            say(f"the cluster is up; to use it:\n  {node.export()}")
            return
        begun = time.monotonic()
        steps = Steps(5)
        with steps.step("Debian packages", "first time 1 min"):
            packages.ensure(packages.NODE)
        with steps.step("Programs", "first time 8 min, then kept in the cache"):
            binaries = build.ensure()
        with steps.step("Clean what an earlier run left"):
            _stop()
            _clean()
        with steps.step("Certificates and configuration"):
            _prepare()
        with steps.step("Node", "about 20 s"):
            _start(binaries)
        say(f"the cluster is up after {duration(time.monotonic() - begun)}; to use it:\n  {node.export()}")


def down() -> None:
    """Stop the cluster and remove everything of it but the caches (programs, images); do nothing when it is down."""
    with alone(places.LOCK, "`up` or `down`"):
        _stop()
        _clean()
    say("the cluster is down; programs and images are kept in " + str(places.CACHE))


def is_ready() -> bool:
    """Tell whether a cluster runs and has come up completely."""
    seen = state.read(places.STATE)
    return state.is_alive(seen) and seen is not None and seen.phase == "ready"


def _prepare() -> None:
    for folder in (places.LOG, places.VOLATILE, places.REGISTRY_DATA):
        folder.mkdir(parents=True, exist_ok=True)
    authority.issue(places.PKI, settings.CERTIFICATES)
    for client in settings.CLIENTS:
        server = f"https://127.0.0.1:{settings.API_PORT}"
        target = settings.kubeconfig(client)
        kubeconfig.write(target, server=server, pki=places.PKI, client=client, context=places.CONTEXT)
    for name, content in settings.files().items():
        file = places.CONFIG / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def _start(binaries: Path) -> None:
    with SUPERVISOR_LOG.open("ab") as log:
        process = subprocess.Popen(
            [*NAMESPACES, sys.executable, "-m", "tests.cluster.supervisor", str(binaries)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=places.ROOT,
            start_new_session=True,
        )
    try:
        _await_components(process, time.monotonic() + START_SECONDS)
        _await_node(time.monotonic() + START_SECONDS)
    except BaseException:
        _stop()
        raise


def _await_components(process: subprocess.Popen[bytes], deadline: float) -> None:
    told: set[str] = set()
    while True:
        seen = state.read(places.STATE)
        for one in seen.components if seen else []:
            if one.ready and one.name not in told:
                told.add(one.name)
                say(f"      {one.name}: ready after {duration(one.seconds)}")
        if seen and seen.phase == "ready":
            return
        if (seen and seen.phase == "failed") or process.poll() is not None or time.monotonic() > deadline:
            raise _start_failure(seen)
        time.sleep(0.1)


def _await_node(deadline: float) -> None:
    arguments = ["wait", "--for=condition=Ready", f"node/{places.NODE_NAME}", "--timeout=10s"]
    while True:
        done = subprocess.run([*node.kubectl(), *arguments], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            what = f"the node did not become ready: {done.stderr.strip()}"
            raise ClusterError(what, log=places.LOG / "kubelet.log", advice="look at the kubelet's log")
        time.sleep(0.2)


def _start_failure(seen: NodeState | None) -> ClusterError:
    """Name the part that failed, or the first that is still awaited."""
    bad = [one for one in seen.components if not one.ready] if seen else []
    named = [one for one in bad if seen and one.name == seen.error] or bad
    if not named:
        what = f"the node did not start{f' ({seen.error})' if seen and seen.error else ''}"
        return ClusterError(what, log=SUPERVISOR_LOG, advice="see the log")
    part = named[0]
    advice = "mend what its log says and run `up` again; `down` removes everything"
    return ClusterError(f"{part.name} did not come up: {part.why}", log=places.LOG / f"{part.name}.log", advice=advice)


def _stop() -> None:
    """End the node's first process, and with it all others; a node that does not listen is killed."""
    seen = state.read(places.STATE)
    if seen is None or not state.is_alive(seen):
        return
    os.kill(seen.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while state.is_alive(seen):
        if time.monotonic() > deadline:
            os.kill(seen.pid, signal.SIGKILL)
            deadline += STOP_SECONDS
        time.sleep(0.1)


def _clean() -> None:
    """Remove what one run leaves outside its namespaces: control groups, and its part of the cache folder."""
    if remaining := cgroups.remove():
        listed = ", ".join(map(str, remaining[:3]))
        raise ClusterError(f"control groups are still in use: {listed}", advice="see their cgroup.procs, end those")
    _refuse_mounts(places.CLUSTER)
    for folder in (places.VOLATILE, places.PKI, places.CONFIG, places.LOG):
        if folder.exists():
            shutil.rmtree(folder)
    for file in (places.STATE, places.KUBECONFIG):
        file.unlink(missing_ok=True)
    isolation.forget_mount_points()


def _refuse_mounts(folder: Path) -> None:
    """Protect the machine from a removal that would go through a mount."""
    mounts = isolation.mount_points(Path("/proc/self/mountinfo").read_text())
    if inside := sorted(mount for mount in mounts if Path(mount).is_relative_to(folder)):
        raise ClusterError(f"there are mounts below {folder}: {inside}", advice=f"umount {' '.join(inside)}")
