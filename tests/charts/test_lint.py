"""What linters find in the charts is argued once, with a reason, and no longer than it is found."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.charts.lint import complaints

ARGUED = yaml.safe_load((Path(__file__).parent / "argued.yaml").read_text())


def test_what_is_found_and_not_argued_is_told_and_what_is_argued_and_not_found() -> None:
    argued = {"one": {"a": "because"}, "other": {"b": "because"}}

    assert complaints([("one", "a", "x"), ("one", "a", "y"), ("other", "b", "x")], argued) == []
    assert complaints([("one", "a", "x"), ("one", "b", "x")], argued) == [
        "one: b: x: mend the chart, or argue it",
        "other: b: is argued, and found no more: take it out",
    ]


def test_each_is_argued_in_a_sentence() -> None:
    assert set(ARGUED) == {"kube-score", "checkov"}
    assert all(why.endswith(".") and len(why.split()) > 5 for checks in ARGUED.values() for why in checks.values())
