"""Say on stderr what is being waited for: one moving line on a terminal, a line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape

from headrace.cli import output


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is going on now; the moving line is gone afterwards."""
    console = output.stderr()
    if console.is_terminal:
        with console.status("") as status:
            yield lambda text: status.update(escape(text))
    else:
        yield _Changes().note


class _Changes:
    """Says a thing once, not at each look; counters, which change all the time, are not said at all."""

    def __init__(self) -> None:
        self._last = ""

    def note(self, text: str) -> None:
        if text != self._last and not text[:1].isdigit():
            self._last = text
            output.say(text)
