"""The shape of the code: sizes, rooms that must not be shadowed, names of nothing. Reads files, runs nothing."""

from __future__ import annotations

import ast
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST_FILE = 400
LONGEST_TEST = 600
LONGEST_FUNCTION = 60
GENERATED = ("charts/headrace-crds/templates", "charts/headrace/files", "dashboards/headrace-", "dashboards/rules")
SOURCES = {".py", ".go", ".sh", ".sql"}


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def _sources() -> list[Path]:
    return [
        path for path in _tracked() if path.suffix in SOURCES and not str(path.relative_to(ROOT)).startswith(GENERATED)
    ]


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py"


def _functions(path: Path) -> list[tuple[str, int]]:
    return [
        (f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_every_file_is_one_concept_long() -> None:
    """No hand-written source file is longer than its limit."""
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in _sources()
        if (lines := len(path.read_text().splitlines())) > (LONGEST_TEST if _is_test(path) else LONGEST_FILE)
    }

    assert not too_long


def test_functions_are_short() -> None:
    """No function is longer than a screen, and the typical one is about ten lines."""
    functions = [found for path in _sources() if path.suffix == ".py" for found in _functions(path)]

    assert not [found for found in functions if found[1] > LONGEST_FUNCTION]
    assert statistics.median(length for _, length in functions) <= 12


def test_operator_folder_never_shadows_the_standard_library() -> None:
    """The folder ``operator`` has the name of a standard module, so it is no package and holds no tests."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not [path for path in _tracked() if path.is_relative_to(ROOT / "operator") and _is_test(path)]


@pytest.mark.parametrize("name", ["utils", "common", "helpers", "core", "manager", "base"])
def test_no_module_is_named_for_nothing(name: str) -> None:
    """A thing without a home is a missing concept."""
    assert not [path for path in _sources() if name in (path.stem, path.parent.name)]


def test_kopf_never_adopts() -> None:
    """``kopf.adopt`` copies the owner's labels to children, which makes pruning tools delete them."""
    source = ROOT / "operator" / "src"

    assert not [path for path in source.rglob("*.py") if "kopf.adopt(" in path.read_text()]
