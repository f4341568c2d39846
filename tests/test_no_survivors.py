"""Killed tests leave no process behind: what they started ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent

HANGS = """
import subprocess, time
from pathlib import Path
from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.postgres_server import PostgresServer, postgres_server
from tests.runtime.consumer_process import consuming, make_world

def test_hangs(kafka_broker, postgres_server, tmp_path):
    with consuming(make_world(kafka_broker, tmp_path)):
        Path({mark!r}).touch()
        time.sleep(300)
"""


def descendants(pid: int) -> set[int]:
    """All processes below ``pid``."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(line.split()[0]): int(line.split()[1]) for line in listed.splitlines()}
    found, more = set[int](), {pid}
    while more:
        found |= more
        more = {child for child, parent in parents.items() if parent in more} - found
    return found - {pid}


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder into which PostgreSQL's user may look, for all that the killed tests leave."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_killed_tests_leave_no_process(tmp_path: Path, folder: Path) -> None:
    mark, file = tmp_path / "mark", tmp_path / "test_hangs.py"
    file.write_text(HANGS.format(mark=str(mark)))
    words = [sys.executable, "-m", "pytest", "-q", str(file), f"--rootdir={ROOT}", "-p", "no:cacheprovider"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with (tmp_path / "log").open("wb") as log:
        tests = subprocess.Popen(words, cwd=ROOT, env=settings, stdout=log, stderr=log)
    try:
        until("everything to start", lambda: mark.exists() or tests.poll() is not None)
        started = descendants(tests.pid)
        assert len(started) >= 3, (tmp_path / "log").read_text()[-2000:]
    finally:
        tests.send_signal(signal.SIGKILL)
        tests.wait(PATIENCE)
    until("the end of all", lambda: not any(map(lives, started)))
