"""The demo's command line: ``python -m tests.demo [--orders N] [--cluster local|current] [--registry HOST/PATH]``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import psycopg

from tests.cluster.failure import ClusterError
from tests.cluster.images import store
from tests.cluster.places import ROOT

from . import account, afterwards, reach, story
from .reach import DemoError

LOCAL_REGISTRY = "localhost:5000/headrace"
ACCOUNT = """
▸ The account, from the two databases
  $ kubectl -n shop port-forward svc/shop-db 5432
  $ kubectl -n shop port-forward svc/billing-db 5433:5432
    tests/demo/books.py has the queries, tests/demo/account.py adds up
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
        begin = time.monotonic()
        reached = reach.local() if is_local else reach.current()
        told = story.Story(reach=reached, images=store.references(), orders=options.orders).tell()
    except (ClusterError, DemoError, psycopg.Error) as error:
        print(f"\nthe demo stopped: {error}", file=sys.stderr)
        return 1
    _print(told, time.monotonic() - begin)
    print(afterwards.text(is_local=is_local))
    return 0 if told.adds_up else 1


def _prepare(is_local: bool, registry: str) -> None:
    """Bring up cluster, images, Kafka, Prometheus and the two databases."""
    if is_local:
        story.title("A Kubernetes on this machine")
        _module("make up", "tests.cluster", "up")
    story.title("The images, built and pushed")
    _module(f"make images REGISTRY={registry}", "tests.cluster.images", "build", "--push", "--registry", registry)
    story.title("Kafka, Prometheus, and a PostgreSQL each for shop and billing")
    databases = ("postgres", "shop", "shop-db", "postgres", "shop", "billing-db")
    words = ("tests.cluster.stack", *([] if is_local else ["--current"]), "up", "kafka", "monitoring", *databases)
    _module(f"python -m {' '.join(words)}", *words)


def _module(shown: str, *words: str) -> None:
    print(f"  $ {shown}", flush=True)
    if subprocess.run([sys.executable, "-m", *words], check=False).returncode:
        raise DemoError(f"`{shown}` failed, see above")


def _print(told: account.Account, seconds: float) -> None:
    print(f"{ACCOUNT}\n  {told.line()}\n")
    for fault in told.faults:
        print(f"  WRONG: {fault}", file=sys.stderr)
    print(f"  the story took {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
