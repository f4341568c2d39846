"""What the first process of a container owes to the others there: to wait for those that nobody else waits for.

A process whose parent has ended becomes a child of the first one, and stays in the table of processes after its end
until it is waited for; a table that is full starts no other. The consumer must not wait for whatever ends: its
handler's libraries wait for their own. So the consumer is a child of a first process that does nothing else, as with
tini and dumb-init; in here, as pods of any image have it so. It becomes an interpreter that has loaded nothing else.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable

FORWARDED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2})
"""Signals that are meant for the consumer."""

AWAITED = FORWARDED | {signal.SIGCHLD}


def step_aside() -> None:
    """Return in a child process, where this one is the first of its container; anywhere else, at once.

    The first one ends when the child does, with its exit status: 128 and the number where a signal ended it.
    """
    if os.getpid() == 1:
        _divide()


def _divide() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    child = os.fork()
    if child:
        os.execv(sys.executable, [sys.executable, "-IS", __file__, str(child)])
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _awaited(child: int) -> int:
    """Wait for all that ends and pass on what is forwarded; returns the status with which ``child`` ended."""
    while True:
        number = signal.sigwait(AWAITED)
        if number != signal.SIGCHLD:
            os.kill(child, number)
            continue
        for pid, status in _ended():
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def _ended() -> Iterable[tuple[int, int]]:
    """Yield the processes that have ended, each with its status as ``wait`` has it."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status


if __name__ == "__main__":
    os._exit(_awaited(int(sys.argv[1])))
