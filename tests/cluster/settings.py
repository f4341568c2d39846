"""Addresses of the node's network, and the configuration files of its components, as plain data.

Pure: it gives names and contents; who writes them is `prepare`.
"""

import json
from pathlib import Path

from tests.cluster import places
from tests.cluster.authority import Certificate

NODE_ADDRESS = "10.95.0.1"
POD_RANGE = "10.244.0.0/16"
NODE_POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DOMAIN = "cluster.local"
API_PORT = 6443
ETCD_PORT = 2379
SANDBOX_IMAGE = "localhost/headrace-pause:1"

API_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{DOMAIN}",
    "127.0.0.1",
    API_SERVICE,
    NODE_ADDRESS,
)
CERTIFICATES = (
    Certificate(file="apiserver", user="kube-apiserver", serves=API_NAMES),
    Certificate(file="kubelet-server", user=f"system:node:{places.NODE_NAME}", serves=(places.NODE_NAME, NODE_ADDRESS)),
    Certificate(file="admin", user="headrace-admin", group="system:masters"),
    Certificate(file="kubelet-client", user="kube-apiserver-kubelet-client", group="system:masters"),
    Certificate(file="kubelet", user=f"system:node:{places.NODE_NAME}", group="system:nodes"),
    Certificate(file="controller-manager", user="system:kube-controller-manager"),
    Certificate(file="scheduler", user="system:kube-scheduler"),
    Certificate(file="proxy", user="system:kube-proxy"),
    Certificate(file="dns", user="system:coredns"),
)
CLIENTS = ("admin", "kubelet", "controller-manager", "scheduler", "proxy", "dns")


def files() -> dict[str, str]:
    """Give every configuration file by its name under `places.CONFIG`."""
    return {
        "audit.json": audit_policy(),
        "kubelet.json": _kubelet(),
        "containerd.toml": _containerd(),
        f"certs.d/{places.REGISTRY}/hosts.toml": f'server = "http://{places.REGISTRY}"\n',
        "registry.json": _registry(),
        "cni/10-pods.conflist": _pod_network(),
        "Corefile": _dns(),
        "resolv.conf": "",
        "addons.json": _addons(),
    }


def audit_policy() -> str:
    """Every request once, when it has been answered: enough to count who wrote what; of our own kinds also the text."""
    ours = {"level": "Request", "verbs": ["patch"], "resources": [{"group": "headrace.dev"}]}
    rules = {"rules": [ours, {"level": "Metadata"}], "omitStages": ["RequestReceived"]}
    return json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", **rules})


def _kubelet() -> str:
    pki = places.PKI
    authentication = {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": str(pki / "ca.crt")},
    }
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": authentication,
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{places.CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DOMAIN,
        "resolvConf": str(places.CONFIG / "resolv.conf"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "healthzBindAddress": "127.0.0.1",
    }
    return json.dumps(configuration, indent=1)


def _containerd() -> str:
    return f'''version = 2
root = "{places.CONTAINERD}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{SANDBOX_IMAGE}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{places.CONFIG / "certs.d"}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{places.CONFIG / "cni"}"
'''


def _registry() -> str:
    storage = {"filesystem": {"rootdirectory": str(places.REGISTRY_DATA)}, "delete": {"enabled": True}}
    return json.dumps(
        {"version": "0.1", "log": {"level": "warn"}, "storage": storage, "http": {"addr": "127.0.0.1:5000"}}
    )


def _pod_network() -> str:
    """Each pod on a point-to-point link: all its traffic is routed, so kube-proxy sees it without bridge filtering."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": NODE_POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni/networks",
    }
    plugins = [{"type": "ptp", "ipMasq": False, "ipam": addresses}]
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}, indent=1)


def _dns() -> str:
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
  bind {NODE_ADDRESS}
  errors
  health 127.0.0.1:8181
  ready 127.0.0.1:8182
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {kubeconfig("dns")} {places.CONTEXT}
    pods insecure
    ttl 5
  }}
  cache 5
}}
.:53 {{
  bind {NODE_ADDRESS}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def _addons() -> str:
    """The DNS service of the cluster, served by the node itself, and the rights its server needs."""
    reads = [{"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]}]
    reads.append({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]})
    rbac, dns = "rbac.authorization.k8s.io", {"name": "system:coredns"}
    user = {"kind": "User", "apiGroup": rbac, **dns}
    ports = [{"name": protocol.lower(), "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    service = {"name": "kube-dns", "namespace": "kube-system"}
    labels = {"kubernetes.io/service-name": "kube-dns"}
    items = [
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": dns, "rules": reads},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": dns,
            "roleRef": {"kind": "ClusterRole", "apiGroup": rbac, **dns},
            "subjects": [user],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": service,
            "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**service, "labels": labels},
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1)


def kubeconfig(client: str) -> Path:
    """Give the file a component of the node reads to reach the API server."""
    return places.PKI / f"{client}.kubeconfig"
