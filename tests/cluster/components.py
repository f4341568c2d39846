"""The programs of the node: how each is called, and what shows that it is ready. Pure data; `supervisor` runs it.

Concurrency is set low everywhere: the node shares two cores with all it runs.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import places, settings
from tests.cluster.settings import API_PORT, ETCD_PORT, NODE_ADDRESS, kubeconfig


@dataclass(frozen=True, kw_only=True)
class Component:
    """One program: `ready` is a URL that answers 200, or a command that succeeds; `after` names what must be ready."""

    name: str
    argv: tuple[str, ...]
    ready: str | tuple[str, ...]
    after: tuple[str, ...] = ()
    once: bool = False
    """It does its work and ends; having ended well is being ready."""


def etcd(kube: Path, *, data: Path, port: int, peer_port: int) -> Component:
    """Etcd on loopback that does not wait for the disk: what it holds need not outlive the machine."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    flags = {
        "data-dir": data,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return Component(name="etcd", argv=_call(kube, "etcd", flags), ready=f"{client}/health")


def apiserver(
    kube: Path, *, pki: Path, audit_policy: Path, audit_log: Path, etcd_port: int, port: int, address: str
) -> Component:
    """The API server, with RBAC, the default admission plug-ins, and an audit log."""
    flags = {
        "etcd-servers": f"http://127.0.0.1:{etcd_port}",
        "secure-port": port,
        "bind-address": "127.0.0.1" if address == "127.0.0.1" else "0.0.0.0",
        "advertise-address": address,
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "kubelet-certificate-authority": pki / "ca.crt",
        "kubelet-client-certificate": pki / "kubelet-client.crt",
        "kubelet-client-key": pki / "kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": pki / "sa.key",
        "service-account-signing-key-file": pki / "sa.key",
        "service-cluster-ip-range": settings.SERVICE_RANGE,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "audit-policy-file": audit_policy,
        "audit-log-path": audit_log,
        "audit-log-maxsize": 200,
        "audit-log-maxbackup": 3,
        "profiling": "false",
    }
    ready = f"https://127.0.0.1:{port}/readyz"
    return Component(name="apiserver", argv=_call(kube, "apiserver", flags), ready=ready, after=("etcd",))


def node(binaries: Path, *, python: str, listener: int) -> tuple[Component, ...]:
    """Give every component of the node; `listener` is the file descriptor on which the relay accepts the host."""
    kube, pki, config = binaries / "kube", places.PKI, places.CONFIG
    registry = ("docker-registry", "serve", str(config / "registry.json"))
    containerd = ("containerd", "--config", str(config / "containerd.toml"))
    sandbox = (python, "-m", "tests.cluster.sandbox", str(binaries / "pause"))
    relay = (python, "-m", "tests.cluster.relay", str(listener), str(API_PORT))
    addons = ("kubectl", "--kubeconfig", str(kubeconfig("admin")), "apply", "-f", str(config / "addons.json"))
    return (
        etcd(kube, data=places.VOLATILE / "etcd", port=ETCD_PORT, peer_port=ETCD_PORT + 1),
        Component(name="registry", argv=registry, ready=f"http://{places.REGISTRY}/v2/"),
        Component(name="containerd", argv=containerd, ready=("ctr", "version")),
        Component(name="sandbox-image", argv=sandbox, ready=(), after=("containerd",), once=True),
        apiserver(
            kube,
            pki=pki,
            audit_policy=config / "audit.json",
            audit_log=places.AUDIT_LOG,
            etcd_port=ETCD_PORT,
            port=API_PORT,
            address=NODE_ADDRESS,
        ),
        Component(name="relay", argv=relay, ready=("true",), after=("apiserver",)),
        Component(name="addons", argv=(str(kube), *addons), ready=(), after=("apiserver",), once=True),
        _controller_manager(kube),
        _scheduler(kube),
        _kubelet(kube),
        _proxy(kube),
        Component(
            name="dns",
            argv=(str(kube), "dns", "-conf", str(config / "Corefile"), "-quiet"),
            ready="http://127.0.0.1:8182/ready",
            after=("addons",),
        ),
    )


def _controller_manager(kube: Path) -> Component:
    few = (
        "deployment",
        "endpoint",
        "gc",
        "job",
        "replicaset",
        "resource-quota",
        "service-endpoint",
        "serviceaccount-token",
    )
    flags = {
        **_identity("controller-manager"),
        "service-account-private-key-file": places.PKI / "sa.key",
        "root-ca-file": places.PKI / "ca.crt",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        **{f"concurrent-{name}-syncs": 3 for name in few},
    }
    ready, argv = "https://127.0.0.1:10257/healthz", _call(kube, "controller-manager", flags)
    return Component(name="controller-manager", argv=argv, ready=ready, after=("apiserver",))


def _scheduler(kube: Path) -> Component:
    flags = {**_identity("scheduler"), "leader-elect": "false", "bind-address": "127.0.0.1"}
    ready = "https://127.0.0.1:10259/healthz"
    return Component(name="scheduler", argv=_call(kube, "scheduler", flags), ready=ready, after=("apiserver",))


def _kubelet(kube: Path) -> Component:
    flags = {
        "config": places.CONFIG / "kubelet.json",
        "kubeconfig": kubeconfig("kubelet"),
        "hostname-override": places.NODE_NAME,
        "node-ip": NODE_ADDRESS,
    }
    after, ready = ("apiserver", "sandbox-image"), "http://127.0.0.1:10248/healthz"
    return Component(name="kubelet", argv=_call(kube, "kubelet", flags), ready=ready, after=after)


def _proxy(kube: Path) -> Component:
    flags = {
        "kubeconfig": kubeconfig("proxy"),
        "proxy-mode": "nftables",
        "cluster-cidr": settings.POD_RANGE,
        "conntrack-max-per-core": 0,
        "hostname-override": places.NODE_NAME,
        "healthz-bind-address": "127.0.0.1:10256",
        "metrics-bind-address": "127.0.0.1:10249",
    }
    ready = "http://127.0.0.1:10256/livez"
    return Component(name="proxy", argv=_call(kube, "proxy", flags), ready=ready, after=("apiserver",))


def _identity(client: str) -> dict[str, object]:
    file = kubeconfig(client)
    return {"kubeconfig": file, "authentication-kubeconfig": file, "authorization-kubeconfig": file}


def _call(kube: Path, program: str, flags: dict[str, object]) -> tuple[str, ...]:
    return (str(kube), program, *(f"--{name}={value}" for name, value in flags.items()))
