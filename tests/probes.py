"""Processes that answer probes: what one says, and how it ends when it is asked to.

One that is asked before it serves may not have come as far as to take the signal: Python's own ending has no status 0.
"""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request

from tests.waiting import PATIENCE, until


def asked(port: int, path: str, timeout: float = PATIENCE) -> tuple[int, str]:
    """Return status and text of an answer on ``port``; (0, why) where there is none within ``timeout`` seconds."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def stopped(process: subprocess.Popen[bytes], port: int) -> int:
    """Ask a process to end, once it answers its probe or has ended by itself, and return its exit status."""
    until("it serves, or has ended", lambda: process.poll() is not None or asked(port, "/healthz")[0])
    process.terminate()
    return process.wait(PATIENCE)
