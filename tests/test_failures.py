"""FAILURES.md names tests that there are: for each of the ten failure cases, and for each thing that must hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS / "FAILURES.md").read_text()
CASES = dict(re.findall(r"^## (\d+)\. .*\n((?:(?!^## ).*\n)*)", PAGE, re.MULTILINE))
ROW = re.compile(r"^\| (?!must hold|---)(.+?) \| (.+?) \|$", re.MULTILINE)


def test_each_case_says_what_must_hold_and_where_it_is_shown() -> None:
    rows = {number: ROW.findall(text) for number, text in CASES.items()}
    assert list(rows) == [str(number) for number in range(1, 11)]
    assert all(len(found) >= 3 for found in rows.values())
    assert all(re.search(r"`\S+::test_\w+`", shown) for found in rows.values() for _, shown in found)


def test_each_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(\w+/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    missing = [
        (file, test) for file, test in named if not (TESTS / file).is_file() or test not in {"", *_tests_in(file)}
    ]
    assert len(named) > 60
    assert missing == []


def _tests_in(file: str) -> set[str]:
    """Return the tests of a file, and nothing, which is named where the file as a whole shows it."""
    found = ast.walk(ast.parse((TESTS / file).read_text()))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {"", *(one.name for one in found if isinstance(one, kinds) and one.name.startswith("test_"))}
