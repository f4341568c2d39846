"""Each reason has its entry in the users' guide, and the guide speaks of no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from headrace_operator.plan.reasons import Reason

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/reasons.md"
ENTRIES = dict(re.findall(r"^### (\S+)\n\n(.+?)(?=\n\n|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def test_the_page_has_an_anchor_for_each_reason_and_no_other() -> None:
    anchors = re.findall(r"^### (\S+)$", PAGE.read_text(), re.MULTILINE)

    assert sorted(anchors) == sorted(reason.value for reason in Reason)
    assert len({anchor.lower() for anchor in anchors}) == len(anchors)


@pytest.mark.parametrize("reason", Reason)
def test_an_entry_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    entry = ENTRIES[reason]

    assert len(re.findall(r"[.;] |\.\n|\.$", entry)) >= 2 or "Wait." in entry, entry
    assert re.fullmatch(r"([A-Z][a-z]+)+", reason), "a reason is a word in CamelCase"


def test_every_reason_is_given_somewhere() -> None:
    """A word that no condition says is not in the list: members are named, or made from a connector's state."""
    named = {
        node.attr
        for path in (ROOT / "operator/src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }

    assert named | {"PAUSED", "STOPPED"} == set(Reason.__members__)
