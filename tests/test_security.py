"""The page about security: each threat, and each address, says what is done and which test shows it, which is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text()
THREATS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| S\d", line)]
ADDRESSES = [
    line.strip("| ").split(" | ")
    for line in PAGE.partition("## Who connects where")[2].partition("## ")[0].splitlines()
    if line.startswith("| ")
][1:]


def test_every_threat_has_its_row() -> None:
    assert [row[0] for row in THREATS] == [f"S{number}" for number in range(1, 21)]
    assert all(len(row) == 4 for row in THREATS)


def test_every_row_names_a_test_that_is_there_or_says_that_it_is_open() -> None:
    for number, _, _, shown in THREATS:
        assert _named(shown) or "open: " in shown, number


def test_every_address_says_who_sends_what_there_and_names_a_test() -> None:
    assert len(ADDRESSES) >= 7
    for row in ADDRESSES:
        assert len(row) == 5, row
        assert _named(row[4]), row[0]


def _named(shown: str) -> list[tuple[str, str]]:
    """Return the tests that a cell names, which are there."""
    named = re.findall(r"`([^`]+)::([^`]+)`", shown)
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), (file, test)
    return named
