"""Show what a person waits for: numbered steps, how long each took, and a sign of life during a long one.

Only prints to standard error, so that a command's standard output stays its answer.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.failure import ClusterError

SIGN_OF_LIFE_SECONDS = 15.0


def say(text: str) -> None:
    """Print one line at once."""
    print(text, file=sys.stderr, flush=True)


class Steps:
    """Counts the steps of one long action: `[2/7] Helm: built in 80 s`."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    @contextmanager
    def step(self, name: str, hint: str = "") -> Iterator[None]:
        """Announce a step, run the body, and say how long it took (nothing more is printed when the body raises)."""
        self.done += 1
        say(f"[{self.done}/{self.total}] {name} ...{f' ({hint})' if hint else ''}")
        begun = time.monotonic()
        yield
        say(f"[{self.done}/{self.total}] {name}: done in {duration(time.monotonic() - begun)}")


def run_logged(
    argv: Sequence[str],
    *,
    log: Path,
    advice: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    sign: Callable[[], str] = lambda: "still running",
) -> None:
    """Run `argv` with its output in `log`, saying every 15 s how far it is.

    Raises ClusterError, with the end of the log and `advice`, when it exits with an error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=env, cwd=cwd)
        try:
            while _still_runs(process):
                say(f"      {duration(time.monotonic() - begun)}: {sign()}")
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode:
        raise ClusterError(f"`{' '.join(argv)}` failed with exit code {process.returncode}", log=log, advice=advice)


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(SIGN_OF_LIFE_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def duration(seconds: float) -> str:
    """Write a time as a person says it: `3.2 s`, `2 min 05 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
