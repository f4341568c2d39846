"""What this process and all that it started cost."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from tests.bench.consumer import machine


def used() -> float:
    """Return the seconds that this process and what descends from it, ended or not, have worked."""
    return machine.used(*_descendants(os.getpid()))


def _descendants(pid: int) -> list[int]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children[parent].append(int(stat.parent.name))
    found, left = [], children[pid]
    while left:
        found += left
        left = [one for each in left for one in children[each]]
    return found
