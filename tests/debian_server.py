"""A server from a package of Debian's, on loopback, in a temporary directory, for tests.

It must not touch any server that Debian manages, and leaves nothing behind; killed tests leave only its folder. Some
programs refuse root, so root lends them the user that Debian made for them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import PATIENCE, until


@contextmanager
def folder(name: str, user: str) -> Iterator[Path]:
    """Make a directory that is ``user``'s, and remove it at the end."""
    directory = Path(tempfile.mkdtemp(prefix=f"headrace-{name}-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, user, user)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run(user: str, *words: str) -> None:
    """Run a program to its end as ``user``; raises ``subprocess.CalledProcessError``."""
    subprocess.run([*_as(user), *words], check=True, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def serving(
    user: str, words: Sequence[str], log: Path, answers: Callable[[], bool], end: signal.Signals = signal.SIGKILL
) -> Iterator[None]:
    """Run a server as ``user`` from its first answer on until the ``end``, which also the end of the tests is."""
    with log.open("wb") as out:
        lent = [*_as(user, f"--pdeathsig={end.name.removeprefix('SIG')}"), *words]
        process = subprocess.Popen(lent, stdout=out, stderr=out, cwd="/")

    def is_there() -> bool:
        assert process.poll() is None, f"{words[0]} ended; it said last:\n{log.read_text()[-2000:]}"
        return answers()

    try:
        until(f"an answer of {words[0]}", is_there)
        yield
    finally:
        process.send_signal(end)
        process.wait(PATIENCE)


def _as(user: str, *more: str) -> tuple[str, ...]:
    """Return setpriv's words, for what follows them."""
    lent = (f"--reuid={user}", f"--regid={user}", "--init-groups") if os.geteuid() == 0 else ()
    return ("setpriv", *more, *lent)
