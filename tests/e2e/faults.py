"""End a container as a crash does, and place more orders meanwhile.

It must not judge: tests do.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.images import store
from tests.demo import applying
from tests.demo.watching import Watch
from tests.e2e import world


@dataclass(frozen=True, kw_only=True)
class Container:
    """A running container, by its pod."""

    namespace: str
    pod: str
    id: str
    restarts: int


def place(watch: Watch, orders: int) -> None:
    """Have the shop place ``orders`` more orders in bursts."""
    first = watch.count("shop", "SELECT max(id) FROM orders") + 1
    applying.apply(watch.reach, "writer.yaml", image=store.references()["demo"], first=str(first), orders=str(orders))


def container(namespace: str, labels: str) -> Container:
    """Return the first running container of the pods with these labels."""
    pods = world.listed(namespace, "pods", labels)
    [status, *_] = [one for pod in pods for one in _statuses(pod) if "running" in one["state"]]
    return Container(namespace=namespace, pod=status["pod"], id=_id(status), restarts=status["restartCount"])


def kill(victim: Container) -> None:
    """Send SIGKILL to every process of a container."""
    found = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cgroup") if _holds(path, victim.id)]
    assert found, f"no process of container {victim.id} of pod {victim.pod}"
    for process in found:
        with suppress(ProcessLookupError):  # its first one takes the others with it
            os.kill(process, signal.SIGKILL)


def has_restarted(victim: Container) -> bool:
    """Tell whether the kubelet has started the container anew, and it is ready; or its pod was taken down since.

    So is a Consumer's that has just come back first, once there is less to do.
    """
    said = world.kubectl("-n", victim.namespace, "get", "pod", victim.pod, "-o", "json", "--ignore-not-found")
    pod = json.loads(said) if said else {"status": {}}
    return all(one["restartCount"] > victim.restarts and one["ready"] for one in _statuses(pod))


def _statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**one, "pod": pod["metadata"]["name"]} for one in pod["status"].get("containerStatuses", [])]


def _id(status: dict[str, Any]) -> str:
    return str(status["containerID"]).rpartition("/")[2]


def _holds(cgroup: Path, container: str) -> bool:
    try:
        return container in cgroup.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
