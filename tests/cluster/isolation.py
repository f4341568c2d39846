"""Turn the calling process into the node: own mounts and own network, from which nothing leaks to the machine.

To be called once, by the first process of new PID and mount namespaces. All it makes vanishes with those namespaces.
"""

import contextlib
import ctypes
import os
import subprocess
from pathlib import Path

from tests.cluster import places, settings
from tests.cluster.failure import ClusterError

CLONE_NEWNET = 0x40000000
PRIVATE = ("/var/log", "/var/lib/kubelet", "/var/lib/cni")
"""Folders whose paths are fixed in Kubernetes' code: the node sees its own there, the machine's stay as they are."""

KERNEL = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}


def own_mounts() -> None:
    """Cut the mounts off from the machine's, then lay the node's own folders over the fixed ones."""
    if "/" not in mount_points(Path("/proc/self/mountinfo").read_text()):
        _enter_true_root(places.VOLATILE / "root")
    _run("mount", "--make-rprivate", "/")
    _run("mount", "-t", "proc", "proc", "/proc")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "node-run", "/run")
    for folder in PRIVATE:
        own = places.VOLATILE / folder.lstrip("/")
        own.mkdir(parents=True, exist_ok=True)
        Path(folder).mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", str(own), folder)


def own_network() -> None:
    """Enter a new network: the node's address and the services' range lead to this node, nothing leads outside."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise ClusterError(f"cannot make a network namespace: {reason}", advice="run as root")
    for name, value in KERNEL.items():
        (Path("/proc/sys") / name).write_text(value)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{settings.NODE_ADDRESS}/32", "dev", "lo")
    _run("ip", "route", "add", settings.SERVICE_RANGE, "dev", "lo", "src", settings.NODE_ADDRESS)


def mount_points(mountinfo: str) -> set[str]:
    """Give the mount points listed in a process's mountinfo, see proc(5); a chroot's root may not be among them."""
    return {line.split()[4] for line in mountinfo.splitlines()}


def _enter_true_root(folder: Path) -> None:
    """Make the root a mount point, which in a plain chroot it is not; runc cannot start containers without that."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "--rbind", "/", str(folder))
    here = Path.cwd()
    os.chroot(folder)
    os.chdir(here)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(
            f"`{' '.join(argv)}` failed: {done.stderr.strip()}", advice="run as root on Linux 5.13 or newer"
        )


def forget_mount_points() -> None:
    """Remove from the machine those mount points that `own_mounts` had to make; folders with contents are not ours."""
    for folder in PRIVATE[1:]:
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
