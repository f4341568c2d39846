"""The operator as the charts install it for all namespaces, and what the chart's own test may do: for tests of both."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.charts.rendering import CHARTS, of, render
from tests.cluster import fast
from tests.operator.operator_process import Operator, await_kinds, await_right, kubectl, operator
from tests.operator.reconcile.test_conventions import ACCOUNT
from tests.waiting import PATIENCE, until

SYSTEM = "headrace-system"
TESTER = f"system:serviceaccount:{SYSTEM}:headrace-test"
RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


AUDIT = """
import os, sys
_FILE = os.open({file!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

def _note(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        os.write(_FILE, ("%s %s\\n" % arguments[1][:2]).encode())
    if event == "socket.getaddrinfo" and arguments[0]:
        os.write(_FILE, ("%s %s\\n" % arguments[:2]).encode())

sys.addaudithook(_note)
"""
"""What a process runs first that notes in a file whom it connects to, or looks for."""


@dataclass(frozen=True, kw_only=True)
class Everywhere:
    """An API server with both charts, admission policies included, and the operator, which has the chart's rights.

    Whom the operator connects to, or looks for, is noted in the file ``asked``.
    """

    server: fast.ApiServer
    running: Operator
    asked: Path


@contextmanager
def installed(folder: Path) -> Iterator[Everywhere]:
    """Run both until the end of the ``with``."""
    with fast.apiserver() as server:
        kubectl(server, "create", "namespace", SYSTEM)
        apply(server, render(chart=CHARTS / "headrace-crds", images=()))
        await_kinds(server)
        apply(server, rights(render("--set", "watch.all=true")))
        await_right(server, ACCOUNT, "list", "consumers.headrace.dev", "default")
        await_right(server, ACCOUNT, "create", "leases.coordination.k8s.io", SYSTEM)
        account = server.kubeconfig_for(ACCOUNT, group="system:serviceaccounts")
        asked = folder / "asked"
        program = f"{AUDIT.format(file=str(asked))}\nfrom headrace_operator.cli import app; app(['run'])"
        with operator(server, folder, kubeconfig=account, watched="*", program=program) as running:
            yield Everywhere(server=server, running=running, asked=asked)
            assert running.stop() == 0, running.log.read_text()


def rights(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what of a chart's objects gives rights, each with its namespace."""
    found = [one for kind in RIGHTS for one in of(kind, objects)]
    for one in found:
        if not one["kind"].startswith("Cluster"):
            one["metadata"].setdefault("namespace", SYSTEM)
    return found


def may_test(server: fast.ApiServer, *values: str) -> Path:
    """Give the chart's test its rights as `helm test` would with ``values``, and return a kubeconfig of its account."""
    words = [word for value in ("watch.all=true", *values) for word in ("--set", value)]
    hooks = [one for one in rights(render(*words, tests=True)) if one["metadata"]["name"] == "headrace-test"]
    apply(server, hooks)
    (role,) = of("Role", hooks)
    asked = {rule["resources"][0]: rule["resourceNames"][0] for rule in role["rules"]}
    until("its rights", lambda: all(_may_get(server, role, *one) for one in asked.items()))
    until("no others", lambda: "secrets" in asked or not _may_get(server, role, "secrets", "kafka-user"))
    return server.kubeconfig_for(TESTER, group="system:serviceaccounts")


def _may_get(server: fast.ApiServer, role: dict[str, Any], resource: str, name: str) -> bool:
    """Tell whether the test may get an object: the API server learns of rights a moment after they were given."""
    kind = resource if resource == "secrets" else f"{resource}.headrace.dev"
    where = ("-n", role["metadata"]["namespace"], f"--as={TESTER}")
    argv = [*server.kubectl, "auth", "can-i", "get", f"{kind}/{name}", *where]
    return subprocess.run(argv, capture_output=True, timeout=PATIENCE, check=False).returncode == 0


def apply(server: fast.ApiServer, objects: list[dict[str, Any]]) -> None:
    """Apply objects as the administrator."""
    kubectl(server, "apply", "-f", "-", text=yaml.safe_dump_all(objects))
