"""The telling of the demo's story: a process of which tests await the end, or what it brings about on its way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import until


@dataclass(frozen=True, kw_only=True)
class Telling:
    """The process that tells the story, and where it says so."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Await what the story brings about; raises ``AssertionError`` with its words when it fails before."""

        def came() -> bool:
            self._judge(self.process.poll())
            return holds()

        until(what, came)

    def whole(self) -> str:
        """Await the story's end and return it; raises ``AssertionError`` with its words when it fails."""
        self._judge(self.process.wait(timeout=1500))
        return self.out.read_text()

    def _judge(self, code: int | None) -> None:
        assert not code, f"{self.out.read_text()[-6000:]}\n{self.err.read_text()[-3000:]}"
