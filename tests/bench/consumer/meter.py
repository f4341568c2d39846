"""Notes in a measured process which records its function was given, and says how long that took.

Knows the standard library only: it runs in every peer's own environment. What a run must be told stands in variables
``BENCH_…`` of the environment. The order is judged later, by who started the process, from the log it leaves.
"""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from pathlib import Path

INDEX = 8
"""Bytes of a value that hold its record's index; where one tells the time, this many more of `STAMP` do."""

STAMP = 20


class Meter:
    """The log of one run: the index of a record for each event, `BENCH_EVENTS` of each record."""

    def __init__(self) -> None:
        self._result = Path(os.environ["BENCH_RESULT"])
        self._all = int(os.environ["BENCH_RECORDS"]) * int(os.environ["BENCH_EVENTS"])
        self._log: list[bytes] = []
        self._delays: list[int] = []
        self._begun = self._cpu = 0.0
        self._once = threading.Lock()

    def note(self, value: bytes) -> None:
        """Note that the record with this value begins, or is done where both are noted."""
        log = self._log
        if not log:
            self._begun, self._cpu = time.perf_counter(), cpu()
        log.append(value[:INDEX])
        if len(log) >= self._all:
            self._end()

    def note_delay(self, value: bytes) -> None:
        """Note a record whose value tells when it was sent, on this machine's monotonic clock."""
        self._delays.append(time.monotonic_ns() - int(value[INDEX : INDEX + STAMP]))
        self.note(value)

    def _end(self) -> None:
        if not self._once.acquire(blocking=False):
            return
        seconds, used = time.perf_counter() - self._begun, cpu() - self._cpu
        self._result.with_suffix(".log").write_bytes(b"".join(self._log))
        told = {"seconds": seconds, "cpu": used, "delays": self._delays}
        half = self._result.with_suffix(".half")
        half.write_text(json.dumps(told))
        half.rename(self._result)


class SharedMeter:
    """The log of a run in several processes: one line an event in a file that all append to, with the time."""

    def __init__(self) -> None:
        file = Path(os.environ["BENCH_RESULT"]).with_suffix(".lines")
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, value: bytes) -> None:
        """Note that the record with this value begins, or is done."""
        os.write(self._file, b"%s %020d\n" % (value[:INDEX], time.monotonic_ns()))


def cpu() -> float:
    """Return the seconds of a processor that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
