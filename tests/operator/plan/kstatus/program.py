"""The real kstatus as a program: built from its pinned module once per set of sources, then kept in the cache."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster import build, places, toolchain
from tests.cluster.alone import alone
from tests.cluster.progress import run_logged
from tests.waiting import PATIENCE

SOURCE = Path(__file__).parent
LOG = places.CACHE / "log" / "build-kstatus.log"


def conclude(objects: Sequence[dict[str, Any]]) -> list[str]:
    """Return what kstatus concludes from each object: Current, InProgress, Failed, …

    Raises ClusterError when the program cannot be built, and ``AssertionError`` when it refuses an object.
    """
    done = subprocess.run(
        [ensure()], input=json.dumps(objects), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    concluded: list[str] = json.loads(done.stdout)
    return concluded


def ensure() -> Path:
    """Return the program, built first where it is not in the cache."""
    sources = {path.name: path.read_bytes() for path in SOURCE.iterdir() if path.suffix in (".go", ".mod", ".sum")}
    program = places.BINARIES / build.key(sources, toolchain.GO_VERSION) / "kstatus"
    with alone(build.LOCK, "build of the cluster's programs"):
        if not program.exists():
            _build(program)
    return program


def _build(program: Path) -> None:
    toolchain.install()
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(".unfinished")
    command = [str(toolchain.GO), "build", "-mod=readonly", "-trimpath", "-o", str(unfinished), "."]
    run_logged(command, log=LOG, advice=build.ADVICE, env=toolchain.environment(os.environ), cwd=SOURCE)
    unfinished.rename(program)
