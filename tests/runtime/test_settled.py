"""Whether a transaction is open is not judged by a clock that ran on while the process stood still."""

from __future__ import annotations

import time

import pytest

from headrace.flow.offsets import Span
from headrace.kafka.topics import Reader, UnansweredError
from headrace.letters import reading

WRITTEN, SHOWN = {0: 9}, {0: Span(0, 4)}


class Log:
    """One of which five records show after so many looks, in each of which the process stands still."""

    def __init__(self, patches: pytest.MonkeyPatch, looks: int, seconds: float) -> None:
        self.now, self._left, self._seconds = 0.0, looks, seconds
        patches.setattr(reading, "written", lambda *about: WRITTEN)
        patches.setattr(time, "monotonic", lambda: self.now)
        patches.setattr(time, "sleep", self._pass)

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def spans(self, topic: str, number: int | None = None) -> dict[int, Span]:
        self._pass(self._seconds)
        self._left -= 1
        return SHOWN if self._left >= 0 else {0: Span(0, 9)}


def settled(log: Log) -> dict[int, Span]:
    reader: Reader = log  # type: ignore[assignment]
    return reading.settled(reader, "letters")


def test_who_stood_still_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled(Log(monkeypatch, 2, 3600.0)) == {0: Span(0, 9)}


def test_a_transaction_that_stays_open_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnansweredError, match="a transaction is open in letters"):
        settled(Log(monkeypatch, 10_000, 0.01))
