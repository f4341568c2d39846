"""What is remembered of an API server that a test has as ``server``."""

from __future__ import annotations

from typing import Any

import pytest

from headrace_operator.clients.kube import Kube
from headrace_operator.clients.remembered import Remembered
from headrace_operator.clients.remembering import Remembering


@pytest.fixture
def clock() -> list[float]:
    """The time in seconds, which a test moves."""
    return [0.0]


@pytest.fixture
def remembered(clock: list[float]) -> Remembered:
    return Remembered(lambda: clock[0])


@pytest.fixture
def near(server: Any, remembered: Remembered) -> Kube:
    """Reads that need not be live."""
    return Kube(Remembering(server, remembered, live=False))
