"""promtool, Prometheus' own judge of rules: the machine's, or else Debian's package unpacked into the cache, once.

Unpacking needs no root and installs nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.cluster import places
from tests.cluster.alone import alone
from tests.cluster.progress import run_logged
from tests.waiting import PATIENCE

UNPACKED = places.TOOLCHAIN / "prometheus"
LOG = places.CACHE / "log" / "promtool.log"
ADVICE = "put promtool on the PATH: on Debian by `apt-get update && apt-get install prometheus`"


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool on `stdin`; all it says is in `stdout`. Raises ClusterError when none can be had."""
    command = [str(_program()), *arguments]
    return subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE
    )


@cache
def _program() -> Path:
    if on_path := shutil.which("promtool"):
        return Path(on_path)
    program = UNPACKED / "usr/bin/promtool"
    if not program.exists():
        with alone(UNPACKED.with_suffix(".lock"), "download of promtool"):
            if not program.exists():
                _fetch()
    return program


def _fetch() -> None:
    """Download and unpack beside the place, then move there, so that half a program is never taken for one."""
    UNPACKED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent) as folder:
        if os.geteuid() == 0:
            run_logged(["apt-get", "update", "-qq"], log=LOG, advice=ADVICE)
        run_logged(["apt-get", "download", "-qq", "prometheus"], log=LOG, advice=ADVICE, cwd=Path(folder))
        (package,) = Path(folder).glob("prometheus_*.deb")
        run_logged(["dpkg-deb", "-x", str(package), f"{folder}/unpacked"], log=LOG, advice=ADVICE)
        shutil.rmtree(UNPACKED, ignore_errors=True)
        Path(folder, "unpacked").rename(UNPACKED)
