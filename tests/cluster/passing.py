"""What a cluster says that cannot answer just now, as on a busy machine: whoever is told so asks again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from subprocess import CompletedProcess

from tests.waiting import PATIENCE, pause

SAYS = re.compile(
    r"\((?:ServiceUnavailable|TooManyRequests|Timeout)\)|etcdserver: (?:request timed out|leader changed)|"
    r"Unable to connect to the server|was refused - did you specify|cluster unreachable|TLS handshake timeout|"
    r"error dialing backend|is waiting to start"
)
"""In the words of kubectl and Helm; in none of them has anything been done but what may be done again."""


def outlasted(ask: Callable[[], CompletedProcess[str]]) -> CompletedProcess[str]:
    """Return what became of a program, which is run again while it fails by what passes; its last failure in the end.

    It is one whose output and complaints are captured as text.
    """
    deadline = time.monotonic() + PATIENCE
    while (done := ask()).returncode and SAYS.search(done.stderr) and time.monotonic() < deadline:
        time.sleep(pause(0.1))
    return done
