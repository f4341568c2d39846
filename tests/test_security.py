"""The page about security: each threat says what is done and which test shows it, and that test is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text()
THREATS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| S\d", line)]


def test_every_threat_has_its_row() -> None:
    assert [row[0] for row in THREATS] == [f"S{number}" for number in range(1, 19)]
    assert all(len(row) == 4 for row in THREATS)


def test_every_row_names_a_test_that_is_there_or_says_that_it_is_open() -> None:
    for number, _, _, shown in THREATS:
        named = re.findall(r"`([^`]+)::([^`]+)`", shown)
        assert named or "open: " in shown, number
        for file, test in named:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), (number, file, test)
