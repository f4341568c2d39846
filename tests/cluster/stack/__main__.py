"""The stack's command line: ``python -m tests.cluster.stack up [kafka] [monitoring] [postgres NAMESPACE NAME]...``."""

import argparse
import sys

from tests.cluster.failure import ClusterError
from tests.cluster.progress import say
from tests.cluster.stack import stack

USAGE = "up [kafka] [monitoring] [postgres NAMESPACE NAME]..."


def main(argv: list[str]) -> int:
    """Run one command; gives the exit code."""
    parser = argparse.ArgumentParser("python -m tests.cluster.stack", usage=f"%(prog)s [--current] {USAGE}")
    parser.add_argument("--current", action="store_true", help="the cluster of the current kubectl context")
    parser.add_argument("command", choices=["up"])
    parser.add_argument("parts", nargs="*", help="kafka and monitoring unless named")
    wanted = parser.parse_args(argv)
    try:
        stack.up(_parts(wanted.parts or ["kafka", "monitoring"]), current=wanted.current)
    except (ClusterError, ValueError) as error:
        say(f"error: {error}")
        return 1
    return 0


def _parts(words: list[str]) -> list[stack.Part]:
    match words:
        case []:
            return []
        case ["kafka", *rest]:
            return [stack.kafka(), *_parts(rest)]
        case ["monitoring", *rest]:
            return [stack.monitoring(), *_parts(rest)]
        case ["postgres", namespace, name, *rest]:
            return [stack.postgres(namespace, name), *_parts(rest)]
    raise ValueError(f"not understood: {' '.join(words)}; usage: {USAGE}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
