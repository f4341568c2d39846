"""The cluster's command line: ``python -m tests.cluster COMMAND``, from the repository root."""

import argparse
import os
import sys

from tests.cluster import build, lifecycle, node, packages, places
from tests.cluster import state as states
from tests.cluster.failure import ClusterError
from tests.cluster.progress import duration, say

COMMANDS = {
    "up": "bring the cluster up (does nothing when it is up)",
    "down": "stop it and remove everything of it but the caches",
    "status": "show each component, and where its log is",
    "build": "build the programs only",
    "packages": "install the Debian packages that the cluster and the tests use, only",
    "shell": "a shell inside the node: its processes, files and network",
    "kubectl": "kubectl as the cluster's administrator, with the arguments that follow",
    "helm": "Helm as the cluster's administrator, with the arguments that follow",
}


def main(argv: list[str]) -> int:
    """Run one command; gives the exit code."""
    listed = "\n".join(f"  {name:8} {text}" for name, text in COMMANDS.items())
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tests.cluster", description=f"commands:\n{listed}", formatter_class=shape
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    wanted = parser.parse_args(argv)
    try:
        return _run(wanted.command, wanted.arguments)
    except ClusterError as error:
        say(f"error: {error}")
        return 1


def _run(command: str, arguments: list[str]) -> int:
    match command:
        case "up":
            lifecycle.up()
        case "down":
            lifecycle.down()
        case "build":
            print(build.ensure())
        case "packages":
            packages.ensure([*packages.NODE, *packages.TESTS])
        case "status":
            return _status()
        case "shell":
            _shell(arguments)
        case "kubectl" | "helm":
            node.running()
            _become([*(node.helm() if command == "helm" else node.kubectl()), *arguments])
    return 0


def _shell(arguments: list[str]) -> None:
    shell = [*node.enter("everything"), "env", f"KUBECONFIG={places.PKI / 'admin.kubeconfig'}"]
    path = f"PATH={build.folder()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    _become([*shell, path, *(arguments or [os.environ.get("SHELL", "/bin/sh")])])


def _become(argv: list[str]) -> None:
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def _status() -> int:
    seen = states.read(places.STATE)
    if seen is None or not states.is_alive(seen):
        print("the cluster is down")
        return 1
    numbers = node.pids()
    print(f"{'COMPONENT':20}{'PID':>8}  {'READY':7}{'RESTARTS':10}{'TOOK':9}WHY NOT")
    for one in seen.components:
        pid = str(numbers.get(one.pid, "-")) if one.pid else "-"
        took = duration(one.seconds)
        print(f"{one.name:20}{pid:>8}  {'yes' if one.ready else 'no':7}{one.restarts:<10}{took:9}{one.why[:120]}")
    print(f"node {seen.phase}, pid {seen.pid}; API https://127.0.0.1:{seen.port}; logs in {places.LOG}")
    print(f"to use it:\n  {node.export()}")
    return 0 if seen.phase == "ready" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
