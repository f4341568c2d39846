"""The node's control groups: one folder `headrace` in each hierarchy, for cgroup v1, hybrid and v2.

Only makes and removes those folders, and weighs the node's pods; limits are the kubelet's.
"""

import contextlib
import os
import time
from pathlib import Path

from tests.cluster import places
from tests.cluster.failure import ClusterError

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpuset", "cpu", "memory", "pids", "io", "hugetlb")
REMOVAL_SECONDS = 60.0
WEIGHTS = {"cpu.shares": 200 * 1024, "cpu.weight": 100 * 100}
"""By name in v1 and in v2: a group gets as much as one process outside of it does, or one session of processes, and the
node is a whole machine, which dozens of those work beside."""


def is_unified(mount: Path = MOUNT) -> bool:
    """Tell whether `mount` is a cgroup v2 hierarchy itself (in hybrid set-ups it holds several v1 ones)."""
    return (mount / "cgroup.controllers").exists()


def hierarchies(mount: Path = MOUNT) -> list[Path]:
    """Give the root of every hierarchy; symbolic links such as `cpu -> cpu,cpuacct` are the same one again."""
    if is_unified(mount):
        return [mount]
    return sorted(path for path in mount.glob("*") if path.is_dir() and not path.is_symlink())


def create(mount: Path = MOUNT) -> None:
    """Make the node's group in every hierarchy; under v2 its controllers are handed down to it first.

    Raises ClusterError when no hierarchy is mounted, as in a chroot that was given no /sys.
    """
    if not hierarchies(mount):
        raise ClusterError(f"no control groups are mounted at {mount}", advice="in a chroot: mount --rbind /sys there")
    if is_unified(mount):
        _hand_down(mount)
    for root in hierarchies(mount):
        (root / places.CGROUP).mkdir(exist_ok=True)
        _weigh(root / places.CGROUP)
    if is_unified(mount):
        _hand_down(mount / places.CGROUP)


def _weigh(group: Path) -> None:
    """Weigh a group where its hierarchy shares out processors."""
    for name, weight in WEIGHTS.items():
        if (group / name).exists():
            (group / name).write_text(str(weight))


def remove(mount: Path = MOUNT) -> list[Path]:
    """Remove the node's groups, waiting up to a minute for the last processes to be gone; give those that remained."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while remaining := [folder for root in hierarchies(mount) for folder in _remove_tree(root / places.CGROUP)]:
        if time.monotonic() > deadline:
            return remaining
        time.sleep(0.1)
    return []


def leftovers(mount: Path = MOUNT) -> list[Path]:
    """Give the node's groups that exist now."""
    return [root / places.CGROUP for root in hierarchies(mount) if (root / places.CGROUP).exists()]


def _remove_tree(top: Path) -> list[Path]:
    folders = [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]
    for folder in folders:
        with contextlib.suppress(OSError):  # busy while a dying process is in it: the caller looks again
            folder.rmdir()
    return [folder for folder in folders if folder.exists()]


def _hand_down(group: Path) -> None:
    """Enable for the children of `group` every controller it has and a kubelet uses.

    A group other than the machine's true root may not both hold processes and hand down controllers (the "no internal
    processes" rule of cgroup v2), as in a container: its processes move to a leaf of their own then.
    """
    present = (group / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{name}" for name in CONTROLLERS if name in present)
    try:
        (group / "cgroup.subtree_control").write_text(wanted)
    except OSError:
        leaf = group / "init"
        leaf.mkdir(exist_ok=True)
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # ended meanwhile
                (leaf / "cgroup.procs").write_text(pid)
        (group / "cgroup.subtree_control").write_text(wanted)
