"""What is said of each failure is what was looked at and committed."""

from __future__ import annotations

import pytest

from tests.operator.plan import described

HOW = "look at it, then: python -m tests.operator.plan.described"
CASES = dict(described.cases())


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_a_failure_is_the_committed_text(case: str) -> None:
    committed = described.GOLDEN / f"{case}.txt"

    assert committed.exists(), f"{case} is new: {HOW}"
    assert described.text(CASES[case]) == committed.read_text(), HOW


def test_every_committed_text_is_of_a_case() -> None:
    assert {path.stem for path in described.GOLDEN.iterdir()} == CASES.keys()
