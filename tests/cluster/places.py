"""Where the cluster keeps its files: one cache folder outside the checkout, so that fresh clones start warm.

Holds paths and names only; it must not create or read anything.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KUBE_SOURCE = ROOT / "tests" / "cluster" / "kube"

CACHE = Path(os.environ.get("HEADRACE_CACHE") or Path.home() / ".cache" / "headrace")
TOOLCHAIN = CACHE / "toolchain"
GO_CACHE = CACHE / "go"
BINARIES = CACHE / "bin"
REGISTRY_DATA = CACHE / "registry"

CLUSTER = CACHE / "cluster"
LOCK = CACHE / "cluster.lock"
LOG = CLUSTER / "log"
AUDIT_LOG = LOG / "audit.log"
PKI = CLUSTER / "pki"
CONFIG = CLUSTER / "config"
STATE = CLUSTER / "state.json"
KUBECONFIG = CLUSTER / "kubeconfig"
CONTAINERD = CLUSTER / "containerd"
VOLATILE = CLUSTER / "volatile"
"""What belongs to one run and is removed before the next: etcd's data and the node's own /var folders."""

NODE_NAME = "local"
CONTEXT = "headrace-local"
REGISTRY = "localhost:5000"
"""Prefix of image names, as pods name them and as `node.run` pushes them."""

CGROUP = "headrace"
