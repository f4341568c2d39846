"""How data leaves the command line: a table for people, or json, jsonl, yaml and name for programs.

Data goes to stdout; everything else goes through ``say``, to stderr. It must not fetch anything and not know what the
rows mean.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Row = Mapping[str, object]


class Format(StrEnum):
    """What ``-o`` takes."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    YAML = "yaml"
    NAME = "name"


def stderr() -> Console:
    """Return where people are told things; plain without a terminal or with NO_COLOR."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tell the user something that is not data."""
    stderr().print(escape(text), soft_wrap=True)


def render(rows: Sequence[Row], columns: Mapping[str, Sequence[str]], form: Format) -> str:
    """Return ``rows`` as text.

    ``columns`` maps each heading of the table to the cells below it; the other forms take the rows as they are, and
    ``name`` their ``name``.
    """
    match form:
        case Format.TABLE:
            return table(columns)
        case Format.JSON:
            return json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n"
        case Format.JSONL:
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case Format.YAML:
            return yaml.safe_dump(list(rows), sort_keys=False, allow_unicode=True)
        case Format.NAME:
            return "".join(f"{row['name']}\n" for row in rows)


def table(columns: Mapping[str, Sequence[str]]) -> str:
    """Return a plain table, as kubectl prints them; on a terminal the last column is cut to its width."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in columns:
        made.add_column(heading, no_wrap=True, overflow="ellipsis")
    for cells in zip(*columns.values(), strict=True):
        made.add_row(*(escape(cell) for cell in cells))
    width = None if sys.stdout.isatty() else 10_000
    console = Console(width=width, highlight=False, soft_wrap=False)
    with console.capture() as captured:
        console.print(made)
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


def write(text: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(text)
    sys.stdout.flush()


def age(seconds: float) -> str:
    """Return a duration as kubectl does: 45s, 12m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size * 2:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"
