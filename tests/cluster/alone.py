"""Let one process at a time do something on this machine; others wait, say so, and then find most of it done."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.progress import say


@contextmanager
def alone(lock: Path, what: str) -> Iterator[None]:
    """Hold the file `lock` until the end of the block; `what` names the work for those who wait."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another {what} is at work; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
