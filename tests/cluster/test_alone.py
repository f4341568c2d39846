"""Two processes that build or start at the same time take turns."""

import subprocess
import sys
from pathlib import Path

from tests.cluster import places

HOLD = """
import sys
from pathlib import Path
from tests.cluster.alone import alone
with alone(Path(sys.argv[1]), "test"):
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_the_second_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    processes = [_start(tmp_path / "lock") for _ in range(2)]
    try:
        said = [_line(one) for one in processes]
        holding, waiting = sorted(processes, key=lambda one: said[processes.index(one)] != "holds\n")

        assert sorted(said) == ["another test is at work; waiting for it\n", "holds\n"]
        holding.communicate()
        assert _line(waiting) == "holds\n"
    finally:
        for one in processes:
            one.kill()
            one.communicate()


def _start(lock: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=places.ROOT,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
