"""A namespace of its own on the local cluster, and what a user would type there.

It must not judge: tests do.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from tests import lines
from tests.cluster import node, places
from tests.cluster.passing import outlasted
from tests.demo import reach
from tests.waiting import PATIENCE, until

EXAMPLE = Path(__file__).parents[2] / "operator" / "examples" / "outbox.yaml"
GROUP = "headrace.dev"
PROMETHEUS = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query="


def kubectl(*words: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl and return its output; raises AssertionError with what it said when it fails and `check`.

    It is run again for as long as the cluster cannot answer.
    """
    command = [*node.kubectl(), *words]
    done = outlasted(
        lambda: subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False)
    )
    if check:
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout if done.returncode == 0 else done.stderr


def apply(namespace: str, *resources: Mapping[str, Any], check: bool = True) -> str:
    """Apply `resources` as a user would, and return what was said."""
    text = yaml.safe_dump_all(resources)
    return kubectl("-n", namespace, "apply", "-f", "-", stdin=text, check=check)


def resource(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return one of Headrace's resources as a user writes it."""
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def get(namespace: str, plural: str, name: str) -> dict[str, Any]:
    """Return a resource of Headrace, live."""
    found: dict[str, Any] = json.loads(kubectl("-n", namespace, "get", f"{plural}.{GROUP}", name, "-o", "json"))
    return found


def listed(namespace: str, plural: str, labels: str = "") -> list[dict[str, Any]]:
    """Return the objects of a kind, live, those with ``labels`` if any are given."""
    found = json.loads(kubectl("-n", namespace, "get", plural, "-l", labels, "-o", "json"))
    items: list[dict[str, Any]] = found["items"]
    return items


def condition(found: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return a condition of a resource, empty when it has none."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((seen for seen in conditions if seen["type"] == kind), {})


def is_ready(namespace: str, plural: str, name: str) -> Callable[[], bool]:
    """Return a question whether a resource is Ready for its present generation."""

    def asked() -> bool:
        found = get(namespace, plural, name)
        ready = condition(found, "Ready")
        return ready.get("status") == "True" and ready["observedGeneration"] == found["metadata"]["generation"]

    return asked


def await_no_difference(*words: str) -> None:
    """Wait until kubectl sees no difference to a file: a status that is written meanwhile is one."""

    def is_none() -> bool:
        try:
            return not kubectl("diff", *words)
        except AssertionError as different:
            print(different)
            return False

    until("no difference", is_none)


def operator_writes(since: int) -> list[str]:
    """Return the operator's writes in the API server's audit log after byte `since`, but for its Lease."""
    writes = []
    for event in lines.events(places.AUDIT_LOG, since):
        is_operator = event["user"]["username"] == "system:serviceaccount:headrace-system:headrace-operator"
        target = event.get("objectRef") or {}
        if is_operator and event["verb"] not in ("get", "list", "watch") and target.get("resource") != "leases":
            writes.append(f"{event['verb']} {target.get('resource')}/{target.get('subresource')} {target.get('name')}")
    return writes


def dead_letters(namespace: str, consumer: str) -> list[Any]:
    """Return what the command lists; nothing where its pod, or Kafka, did not come to answer in its time."""
    try:
        listed = reach.local().run("headrace", "dlq", "list", consumer, "-n", namespace, "-o", "json")
    except reach.DemoError as failure:
        print(failure)
        return []
    found: list[Any] = json.loads(listed)
    return found


def connect_requests(namespace: str, name: str, seconds: float) -> list[str]:
    """Return the requests of the last ``seconds``, from the request log of Connect's workers."""
    labels = f"headrace.dev/connect={name}"
    said = kubectl("-n", namespace, "logs", "-l", labels, f"--since={seconds:.0f}s", "--tail=-1").splitlines()
    return [line for line in said if "RestServer" in line and " HTTP/1.1" in line]


def is_read(request: str) -> bool:
    """Tell whether such a request asks for something only."""
    return '"GET /' in request.replace("\\", "")


def prometheus(query: str) -> float:
    """Return the one number that the cluster's Prometheus answers."""
    found = json.loads(kubectl("get", "--raw", f"{PROMETHEUS}{quote(query)}"))["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0
