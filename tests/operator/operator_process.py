"""The operator as a process of its own, against a real API server."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import API_VERSION
from tests import lines, waiting
from tests.cluster.client import Refused
from tests.cluster.fast import ApiServer
from tests.cluster.passing import outlasted
from tests.ports import free_port
from tests.probes import stopped
from tests.waiting import PATIENCE

NAMELESS = ("setpriv", "--reuid=65532", "--inh-caps=+dac_override", "--ambient-caps=+dac_override")
"""The operator's user in its pod, whom no file there names; here it may read what root installed."""


def kubectl(server: ApiServer, *arguments: str, text: str | None = None) -> str:
    """Run kubectl as administrator and return what it says; raises ``AssertionError``."""
    words = [*server.kubectl, *arguments]
    done = outlasted(
        lambda: subprocess.run(words, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False)
    )
    if done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def install(server: ApiServer) -> None:
    """Install the kinds."""
    server.client.apply(crd.manifests())
    await_kinds(server)


def await_kinds(server: ApiServer) -> None:
    """Wait until every kind can be listed: for a while after its CRD came the API server answers 404 or 429."""
    for kind in KINDS:
        waiting.until(kind.plural, partial(_is_listed, server, f"/apis/{API_VERSION}/{kind.plural}"))


def _is_listed(server: ApiServer, path: str) -> bool:
    try:
        return bool(server.client.ask("GET", path))
    except Refused:
        return False


def await_right(server: ApiServer, user: str, verb: str, resource: str, namespace: str) -> None:
    """Wait until ``user`` may do so: the API server learns of rights a moment after they were given."""
    words = [*server.kubectl, "auth", "can-i", verb, resource, "-n", namespace, f"--as={user}"]

    def may() -> bool:
        return subprocess.run(words, capture_output=True, timeout=PATIENCE, check=False).returncode == 0

    waiting.until(f"the right of {user} to {verb} {resource} in {namespace}", may)


def read(server: ApiServer, kind: str, name: str, namespace: str = "shop") -> dict[str, Any]:
    """Return an object as JSON."""
    return server.client.get(kind, name, namespace)


def told(server: ApiServer, user: str) -> list[str]:
    """Return the text of each change of an object of ours that ``user`` made."""
    events = lines.events(server.audit_log)
    return [
        json.dumps(event["requestObject"])
        for event in events
        if event["stage"] == "ResponseComplete" and event["user"]["username"] == user and "requestObject" in event
    ]


def audited(server: ApiServer, user: str) -> list[tuple[str, str]]:
    """Return verb and object of each request that ``user`` made."""
    events = lines.events(server.audit_log)
    return [
        (event["verb"], f"{event['objectRef']['resource']}/{event['objectRef'].get('name')}")
        for event in events
        if event["stage"] == "ResponseComplete" and event["user"]["username"] == user and "objectRef" in event
    ]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A running operator: its process, its log, and the ports of its metrics and its health."""

    process: subprocess.Popen[bytes]
    log: Path
    metrics_port: int
    health_port: int

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        return stopped(self.process, self.health_port)


def contract(server: ApiServer, workload: str, namespace: str = "shop") -> dict[str, Any]:
    """Read the ConfigMap that the pods of a Deployment are made with."""
    volumes = read(server, "deployment", workload, namespace)["spec"]["template"]["spec"]["volumes"]
    (name,) = [one["configMap"]["name"] for one in volumes if one["name"] == "config"]
    return read(server, "configmap", name, namespace)


@contextlib.contextmanager
def operator(
    server: ApiServer,
    folder: Path,
    *,
    kubeconfig: Path | None = None,
    name: str = "one",
    program: str | None = None,
    place: str = "headrace-system",
    watched: str = "shop",
    level: str = "INFO",
) -> Iterator[Operator]:
    """Run ``headrace-operator run``, or ``program``, in ``place`` for ``watched`` until the end of the ``with``."""
    health, metrics = free_port(), free_port()
    environment = {
        **{key: value for key, value in os.environ.items() if key not in ("LOGNAME", "USER")},
        "KUBECONFIG": str(kubeconfig or server.kubeconfig),
        "HEADRACE_NAMESPACE": place,
        "HEADRACE_WATCH_NAMESPACES": watched,
        "HEADRACE_LOG_LEVEL": level,
        "HEADRACE_CONNECT_IMAGE": "connect:test",
        "HEADRACE_RUNTIME_IMAGE": "runtime:test",
        "HEADRACE_AGENT_IMAGE": "agent:test",
        "HEADRACE_HEALTH_PORT": str(health),
        "HEADRACE_METRICS_PORT": str(metrics),
        "HOSTNAME": name,
    }
    log = folder / f"{name}.log"
    command = [str(Path(sys.executable).parent / "headrace-operator"), "run"]
    if program is not None:
        command = [sys.executable, "-c", program]
    with log.open("wb") as output:
        process = subprocess.Popen([*NAMELESS, *command], env=environment, stdout=output, stderr=output)
    try:
        yield Operator(process=process, log=log, metrics_port=metrics, health_port=health)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@dataclass(frozen=True, kw_only=True)
class Relay:
    """A process between the operator and the API server, which may be stopped and continued by signals."""

    pid: int
    kubeconfig: Path


@contextlib.contextmanager
def relayed(server: ApiServer, folder: Path, account: Path | None = None) -> Iterator[Relay]:
    """Carry connections of ``account`` to ``server`` through a process of its own until the end of the ``with``."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = server.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "tests.cluster.relay", str(listener.fileno()), port]
    process = subprocess.Popen(command, pass_fds=[listener.fileno()], cwd=Path(__file__).parents[2])
    kubeconfig = folder / "relayed.kubeconfig"
    kubeconfig.write_text(
        (account or server.kubeconfig).read_text().replace(f":{port}", f":{listener.getsockname()[1]}")
    )
    listener.close()
    try:
        yield Relay(pid=process.pid, kubeconfig=kubeconfig)
    finally:
        process.kill()
        process.wait()
