"""The plan of each example is the one that was looked at and committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operator.plan import golden


@pytest.mark.parametrize("example", golden.EXAMPLES, ids=lambda path: path.name)
def test_the_plan_of_an_example_is_the_committed_one(example: Path) -> None:
    committed = golden.GOLDEN / example.name

    assert golden.text(example) == committed.read_text(), "look at it, then: python -m tests.operator.plan.golden"
    assert golden.told(example) == committed.with_suffix(".txt").read_text()
