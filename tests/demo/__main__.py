"""The demo's command line: ``python -m tests.demo [--orders N] [--cluster local|current] [--registry HOST/PATH]``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import psycopg

from tests.cluster.failure import ClusterError
from tests.cluster.images import store
from tests.cluster.places import KUBECONFIG, ROOT

from . import reach, story
from .reach import DemoError

LOCAL_REGISTRY = "localhost:5000/headrace"
AFTERWARDS = """
Everything keeps running. To look around{export}:
  kubectl -n shop get headrace
  headrace status -n shop
  kubectl -n monitoring port-forward svc/prometheus 9090     then http://localhost:9090
  kubectl -n shop describe consumer billing
To remove it: {remove}
"""


def main(argv: list[str]) -> int:
    """Prepare the cluster, tell the story, print the account; 1 when it does not add up."""
    parser = argparse.ArgumentParser("python -m tests.demo", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000, help="orders to place (20000)")
    parser.add_argument("--cluster", choices=["local", "current"], default="local")
    parser.add_argument("--registry", help="host and path that images are pushed to (needed with --cluster current)")
    options = parser.parse_args(argv)
    is_local = options.cluster == "local"
    if not is_local and not options.registry:
        parser.error("--cluster current needs --registry HOST/PATH that the cluster can pull from")
    os.chdir(ROOT)
    try:
        _prepare(is_local, options.registry or LOCAL_REGISTRY)
        reached = reach.local() if is_local else reach.current()
        told = story.Story(reach=reached, images=store.references(), orders=options.orders).tell()
    except (ClusterError, DemoError, psycopg.Error) as error:
        print(f"\nthe demo stopped: {error}", file=sys.stderr)
        return 1
    story.title("The account, from the two databases")
    print(f"\n  {told.line()}\n")
    for fault in told.faults:
        print(f"  WRONG: {fault}", file=sys.stderr)
    export = f" (export KUBECONFIG={KUBECONFIG})" if is_local else ""
    print(AFTERWARDS.format(export=export, remove="make down" if is_local else REMOVE))
    return 0 if told.adds_up else 1


REMOVE = "kubectl delete namespace shop kafka monitoring; helm -n headrace-system uninstall headrace headrace-crds"


def _prepare(is_local: bool, registry: str) -> None:
    """Bring up cluster, images, Kafka, Prometheus and the two databases."""
    if is_local:
        _module("tests.cluster", "up")
    _module("tests.cluster.images", "build", "--push", "--registry", registry)
    databases = ("postgres", "shop", "shop-db", "postgres", "shop", "billing-db")
    _module("tests.cluster.stack", *([] if is_local else ["--current"]), "up", "kafka", "monitoring", *databases)


def _module(*words: str) -> None:
    story.title(f"python -m {' '.join(words)}")
    if subprocess.run([sys.executable, "-m", *words], check=False).returncode:
        raise DemoError(f"`python -m {' '.join(words)}` failed, see above")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
