"""Debian's part of the node: installs what is missing with apt, and lets no service start by being installed.

Knows apt and dpkg only.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import places
from tests.cluster.failure import ClusterError
from tests.cluster.progress import run_logged, say

NODE = (
    "ca-certificates",
    "containerd",
    "containernetworking-plugins",
    "docker-registry",
    "iproute2",
    "mount",
    "nftables",
    "openssl",
    "runc",
    "util-linux",
)
TESTS = ("default-jdk-headless", "mariadb-server", "maven", "postgresql", "procps", "redis-server")
"""What runs beside the tests that need one, without the cluster: Kafka, Kafka Connect, PostgreSQL, MariaDB, Redis."""

POLICY = Path("/usr/sbin/policy-rc.d")
LOG = places.CACHE / "log" / "apt.log"
ADVICE = "run `apt-get update && apt-get -f install`, then try again"


def ensure(wanted: Iterable[str]) -> None:
    """Install those of `wanted` that are missing, and say which. Raises ClusterError as `install` does."""
    if absent := missing(wanted):
        say(f"      installing {', '.join(absent)}")
        install(absent)


def missing(wanted: Iterable[str]) -> list[str]:
    """Give those Debian packages of `wanted` that are not installed."""
    return [name for name in wanted if not _is_installed(name)]


def install(names: Iterable[str]) -> None:
    """Install Debian packages without their recommendations; needs root.

    Raises ClusterError when apt fails or this is not a Debian.
    """
    if shutil.which("apt-get") is None:
        raise ClusterError("apt-get is not on this machine", advice="use Debian 12, which the cluster is made for")
    if os.geteuid() != 0:
        raise ClusterError("installing Debian packages needs root", advice=f"run as root: apt-get install {names}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run_logged(["apt-get", "update"], log=LOG, advice=ADVICE, env=env)
    with _no_service_starts():
        run_logged(["apt-get", "install", "-y", "--no-install-recommends", *names], log=LOG, advice=ADVICE, env=env)


def _is_installed(name: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", name]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Forbid service starts while packages are set up, as Debian's invoke-rc.d defines it (exit 101 of policy-rc.d)."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
