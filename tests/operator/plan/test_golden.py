"""The plan of each example is the one that was looked at and committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace_operator.api.kinds import KINDS
from tests.operator.plan import golden

HOW = "look at it, then: python -m tests.operator.plan.golden"


@pytest.mark.parametrize("example", golden.EXAMPLES, ids=lambda path: path.name)
def test_the_plan_of_an_example_is_the_committed_one(example: Path) -> None:
    committed = golden.GOLDEN / example.name

    assert committed.exists(), f"{example.name} is new: {HOW}"
    assert golden.text(example) == committed.read_text(), HOW
    assert golden.told(example) == committed.with_suffix(".txt").read_text(), HOW


def test_every_golden_plan_is_of_an_example() -> None:
    assert {path.stem for path in golden.GOLDEN.iterdir()} == {path.stem for path in golden.EXAMPLES}


def test_every_kind_has_an_example() -> None:
    assert {resource.kind for path in golden.EXAMPLES for resource, _ in golden.plans(path)} == {
        kind.name for kind in KINDS
    }
