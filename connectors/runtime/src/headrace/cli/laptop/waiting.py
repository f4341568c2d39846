"""Say on stderr what is being waited for: one moving line on a terminal; elsewhere, after a while, a line a change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.text import Text

from headrace import printable
from headrace.cli.laptop import output


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is going on now; the moving line is gone afterwards."""
    console = output.stderr()
    if console.is_terminal:
        with console.status("") as status:
            yield lambda text: status.update(Text(printable.line(text)))
    else:
        yield _Changes().note


QUIET = 5.0
"""Seconds in which nothing is said where nobody sees a line move; most errands are done by then."""


class _Changes:
    """Says a thing once, not at each look; counters, which change all the time, are not said at all."""

    def __init__(self) -> None:
        self._last = ""
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        if text == self._last or text[:1].isdigit() or time.monotonic() - self._began < QUIET:
            return
        self._last = text
        output.say(text)
