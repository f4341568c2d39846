"""What excuses a failure of the operator: an answer of the API server that was late, then or shortly before."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.operator import punctual

FAILED = 'ts={at} level=warning logger=headrace_operator.reconcile.loop msg="PATCH /apis: no answer; again in 2 s"'
LOST = 'ts={at} level=info logger=headrace_operator.reconcile.lease msg="Do not hold the Lease shop/headrace-operator"'
WELL = 'ts={at} level=info logger=headrace_operator.reconcile.lease msg="Hold the Lease shop/headrace-operator"'


class Slow:
    """An API whose first answer comes after ``seconds``, and whose later ones come at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def send(self, method: str, where: str, **given: Any) -> dict[str, Any]:
        """Answer a change."""
        if method == "PATCH":
            seconds, self._seconds = self._seconds, 0.0
            await asyncio.sleep(seconds)
        return {}


def log(folder: Path, line: str, at: float) -> Path:
    (folder / "one.log").write_text(line.format(at=f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}Z") + "\n")
    return folder / "one.log"


@pytest.mark.parametrize("line", [FAILED, LOST])
async def test_a_failure_is_excused_by_a_late_answer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(punctual, "LATE", 0.1)
    begun = time.time()
    api: Any = Slow(0.3)
    async with punctual.watched(api, "shop") as punctuality:
        async with asyncio.timeout(60):
            while not punctuality.count():  # noqa: ASYNC110 - nothing tells when it was late
                await asyncio.sleep(0.02)
    ended = time.time()

    assert punctuality.unexcused(log(tmp_path, line, ended)) == []
    assert punctuality.unexcused(log(tmp_path, line, begun - 1)) == [(tmp_path / "one.log").read_text().rstrip()]
    assert punctuality.unexcused(log(tmp_path, line, ended + punctual.AFTER + 1)) != []
    assert punctuality.unexcused(log(tmp_path, WELL, begun - 1)) == []
