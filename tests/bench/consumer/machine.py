"""What machine this is, and how much of it others use meanwhile."""

from __future__ import annotations

import datetime
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
TICKS = os.sysconf("SC_CLK_TCK")


def described() -> str:
    """Return the processors' number and model."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores, {model}"


def commit() -> str:
    """Name what is measured; it ends in ``-dirty`` where it is more than a commit."""
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def conditions(busy: float, used: float) -> dict[str, Any]:
    """Return when, of which commit and on what a run was, and which share of the ``busy`` seconds others took of it."""
    return {
        "at": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        "machine": described(),
        "others": round(max(0.0, 1 - used / busy), 2),
    }


def busy() -> float:
    """Return the seconds that all processors together have worked since the machine started (proc(5), stat)."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) / TICKS


def used(*running: int) -> float:
    """Return the seconds that this process, what it started and has ended, and these of its children have worked."""
    mine = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in _WHO)
    return mine + sum(_seconds(pid) for pid in running)


def memory(pid: int, what: str) -> float:
    """Return MiB of a process: ``VmRSS`` now, ``VmHWM`` at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(what))) / 1024


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
