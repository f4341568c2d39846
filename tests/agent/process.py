"""The agent's process, on ports of its own, told by a file and with its log beside that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from headrace_agent import places

DECLARATION, LOG = "sources.json", "log"
"""What a process reads, and where it writes, in its folder."""


def begun(folder: Path, ports: Sequence[int]) -> subprocess.Popen[bytes]:
    """Begin an agent by the declaration in ``folder``; it answers on the first port, and its metrics on the second."""
    settings = {places.DECLARATION_VARIABLE: str(folder / DECLARATION)}
    settings |= {places.PORT_VARIABLE: str(ports[0]), places.METRICS_VARIABLE: str(ports[1])}
    with (folder / LOG).open("ab") as log:
        words = [sys.executable, "-m", "headrace_agent"]
        return subprocess.Popen(words, env=os.environ | settings, stdout=log, stderr=log)
