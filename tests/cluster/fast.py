"""Fast mode: etcd and the API server alone, on free loopback ports and in a folder of their own, for component tests.

There are no controllers and no nodes: objects are stored, validated and watched, nothing else happens to them.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import authority, build, components, kubeconfig, ready, settings
from tests.cluster.authority import Certificate
from tests.cluster.client import Client
from tests.cluster.components import Component
from tests.cluster.failure import ClusterError
from tests.ports import free_ports

START_SECONDS = 300.0
STOP_SECONDS = 5.0
CONTEXT = "headrace-fast"
END_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """A running API server: where it listens, how its administrator reaches it, and what was asked of it.

    kubectl keeps which kinds there are in ``cache``: an earlier server of this port had others.

    Tests ask by ``client``, and by ``kubectl`` where they judge what a user reads of it.
    """

    url: str
    kubeconfig: Path
    audit_log: Path
    pki: Path
    cache: Path
    kubectl: tuple[str, ...]
    client: Client

    def kubeconfig_for(self, user: str, group: str = "") -> Path:
        """Give a kubeconfig for `user`, in `group`, who has only the rights that RBAC gives them."""
        file = user.replace(":", "-")
        authority.sign(self.pki, Certificate(file=file, user=user, group=group))
        target = self.pki.parent / f"{file}.kubeconfig"
        kubeconfig.write(target, server=self.url, pki=self.pki, client=file, context=CONTEXT)
        return target


@contextmanager
def apiserver() -> Iterator[ApiServer]:
    """Run etcd and an API server until the end of the `with`; ready within a few seconds once they are built.

    Call it from a thread that lives as long as the servers are needed: they end with the thread that started them.
    Raises ClusterError when one of them does not come up.
    """
    kube = build.ensure() / "kube"
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="headrace-apiserver-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        pki, audit = folder / "pki", folder / "audit.log"
        authority.issue(
            pki, [one for one in settings.CERTIFICATES if one.file in ("apiserver", "admin", "kubelet-client")]
        )
        (folder / "audit.json").write_text(settings.audit_policy())
        etcd_port, peer_port, port = free_ports(3)
        etcd = components.etcd(kube, data=folder / "etcd", port=etcd_port, peer_port=peer_port)
        server = components.apiserver(
            kube,
            pki=pki,
            audit_policy=folder / "audit.json",
            audit_log=audit,
            etcd_port=etcd_port,
            port=port,
            address="127.0.0.1",
        )
        for component in (etcd, server):
            process = stack.enter_context(_running(component, folder))
            _await(component, process, folder)
        target, url = folder / "kubeconfig", f"https://127.0.0.1:{port}"
        kubeconfig.write(target, server=url, pki=pki, client="admin", context=CONTEXT)
        cache = folder / "cache"
        kubectl = (str(kube), "kubectl", f"--kubeconfig={target}", f"--cache-dir={cache}")
        client = stack.enter_context(closing(Client(url, pki)))
        yield ApiServer(
            url=url, kubeconfig=target, audit_log=audit, pki=pki, cache=cache, kubectl=kubectl, client=client
        )


@contextmanager
def _running(component: Component, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    seldom = os.environ | {"GOGC": "400"}  # garbage is collected at five times what is in use: a fifth less to compute
    with (folder / f"{component.name}.log").open("wb") as log:
        argv = [*END_WITH_PARENT, *component.argv]
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=seldom)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(component: Component, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while why := ready.why_not(component.ready):
        if process.poll() is not None or time.monotonic() > deadline:
            what = f"{component.name} did not come up: {why}"
            raise ClusterError(what, log=folder / f"{component.name}.log", advice="mend what its log says")
        time.sleep(0.05)
