"""The bench of the operator, asked to end, ends all that it has started, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.operator import report
from tests.cluster.places import ROOT
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_what_it_started(how: signal.Signals, tmp_path: Path) -> None:
    """It has said how far it is, and its operator is there, when the signal comes."""
    log, before = tmp_path / "log", report.RESULTS.read_bytes()
    (tmp_path / "files").mkdir()
    command = [sys.executable, "-m", "tests.bench.operator", "crowd", "--size", "2"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "files")}
    with log.open("wb") as output:
        bench = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        until("it tells of its progress", lambda: " s: {" in log.read_text())
        bench.send_signal(how)
        assert bench.wait(PATIENCE) == 130, log.read_text()
        until("all have ended", lambda: not _of_session(bench.pid))
    finally:
        for pid in _of_session(bench.pid):
            os.kill(pid, signal.SIGKILL)

    assert "interrupted" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert list((tmp_path / "files").glob("headrace-*")) == []
    assert report.RESULTS.read_bytes() == before


def _of_session(session: int) -> list[int]:
    """Return the processes of a session that run (proc(5), stat)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(of) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found
