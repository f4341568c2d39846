"""Programs in Go that tests ask: each is built from pinned modules once per set of sources, then kept in the cache."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cluster import build, places, toolchain
from tests.cluster.alone import alone
from tests.cluster.progress import run_logged


def ensure(source: Path, package: str = ".") -> Path:
    """Return the program that ``package`` is, or the folder of its module, built first where it is not in the cache.

    Raises ClusterError when it cannot be built.
    """
    sources = {path.name: path.read_bytes() for path in source.iterdir() if path.suffix in (".go", ".mod", ".sum")}
    program = places.BINARIES / build.key(sources, toolchain.GO_VERSION) / source.name
    with alone(build.LOCK, "build of the cluster's programs"):
        if not program.exists():
            _build(source, package, program)
    return program


def _build(source: Path, package: str, program: Path) -> None:
    toolchain.install()
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(".unfinished")
    command = [str(toolchain.GO), "build", "-mod=readonly", "-trimpath", "-o", str(unfinished), package]
    log = places.CACHE / "log" / f"build-{source.name}.log"
    run_logged(command, log=log, advice=build.ADVICE, env=toolchain.environment(os.environ), cwd=source)
    unfinished.rename(program)
