"""Ctrl-C, and what else ends a command: held back while something is made that has to be removed, and removed.

An interrupt that comes between the making of a thing and its name, or amid its removal, would leave it behind. Python
handles signals on the main thread alone, so nothing is held back on another one.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""What a person, a job's end or a terminal that is closed sends; each system has some of them."""


class Interrupts:
    """Interrupts of this process, which are held back but within `allowed`; one that was is raised as it begins."""

    def __init__(self) -> None:
        self._holding = True
        self._came = False

    def take(self, number: int, frame: FrameType | None) -> None:
        """Raise ``KeyboardInterrupt``, once: those that follow are held back, so that they end no removal."""
        if self._holding:
            self._came = True
            return
        self._holding = True
        raise KeyboardInterrupt

    def release(self) -> None:
        """Raise the interrupt that was held back, or the next one when it comes."""
        self._holding = False
        if self._came:
            self._holding, self._came = True, False
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Hold back nothing within."""
        try:
            self.release()
            yield
        finally:
            self._holding = True


@contextmanager
def held() -> Iterator[Interrupts]:
    """Hold interrupts back; at the end one that came and was not raised is. What the process ignores stays ignored."""
    interrupts = Interrupts()
    before = {number: signal.getsignal(number) for number in ENDS} if _is_main() else {}
    taken = {
        number: handler for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)
    }
    try:
        for number in taken:
            signal.signal(number, interrupts.take)
        yield interrupts
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
        interrupts.release()


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
