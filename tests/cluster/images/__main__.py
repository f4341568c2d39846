"""The images' command line: ``python -m tests.cluster.images build [NAME...] [--registry HOST/PATH] [--push]``."""

import argparse
import sys
from collections.abc import Mapping

from tests.cluster.alone import alone
from tests.cluster.failure import ClusterError
from tests.cluster.images import store
from tests.cluster.images.build import build
from tests.cluster.images.catalog import IMAGES, chosen
from tests.cluster.progress import say

LOCAL_REGISTRY = "localhost:5000/headrace"
OF_THE_CHART = ("operator", "runtime", "connect", "agent")


def main(argv: list[str]) -> int:
    """Run one command; gives the exit code and prints the references as values of the chart."""
    parser = argparse.ArgumentParser("python -m tests.cluster.images", description="Builds the container images.")
    names = ", ".join(one.name for one in IMAGES)
    parser.add_argument("command", choices=["build"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all unless named: {names}")
    parser.add_argument("--registry", default=LOCAL_REGISTRY, help="what the names begin with")
    parser.add_argument("--push", action="store_true", help="push them to that registry")
    wanted = parser.parse_args(argv)
    try:
        with alone(store.LOCK, "build of images"):
            made = build(chosen(wanted.names), registry=wanted.registry, push=wanted.push)
    except (ClusterError, ValueError) as error:
        say(f"error: {error}")
        return 1
    print(values(made), end="")
    return 0


def values(made: Mapping[str, str]) -> str:
    """Give the chart's values with these references; those of other images as comments."""
    ours = [f"  {name}: {made[name]}\n" for name in OF_THE_CHART if name in made]
    others = [f"# {name}: {reference}\n" for name, reference in made.items() if name not in OF_THE_CHART]
    return "".join((*(["images:\n", *ours] if ours else ()), *others))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
