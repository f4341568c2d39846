"""What others are writing while a test reads: their last line may be half there yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def written(file: Path, since: int = 0) -> list[str]:
    """Return the lines of ``file`` that begin at byte ``since`` or later and have their end; none without a file."""
    if not file.exists():
        return []
    with file.open("rb") as opened:
        opened.seek(max(0, since - 1))
        text = opened.read()
    begin = text.find(b"\n") + 1 if since else 0
    return text[begin : text.rfind(b"\n") + 1].decode().splitlines()


def events(file: Path, since: int = 0) -> list[dict[str, Any]]:
    """Return the JSON objects of ``written``, one on each line."""
    return [json.loads(line) for line in written(file, since)]


class Growing:
    """The JSON objects in a file that others write, each parsed once however often it is asked for them."""

    def __init__(self, file: Path) -> None:
        self._file, self._read = file, 0
        self._events: list[dict[str, Any]] = []

    def events(self) -> Sequence[dict[str, Any]]:
        """Return all that are there by now, in order."""
        for line in written(self._file, self._read):
            self._events.append(json.loads(line))
            self._read += len(line.encode()) + 1
        return self._events
