"""What machine this is, and how much of it others use meanwhile."""

from __future__ import annotations

import os
import resource
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def described() -> str:
    """Return the processors' number and model."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} cores, {model}"


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
