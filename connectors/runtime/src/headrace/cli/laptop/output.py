"""How data leaves the command line: a table for people, or json, jsonl, yaml and name for programs.

Data goes to stdout; everything else goes through ``say``, to stderr. Whatever others wrote, on Kafka, in a status or an
answer, leaves through here or ``headrace.printable``, so that no terminal obeys it. It must not fetch anything and not
know what the rows mean.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum

import yaml
from rich.console import Console
from rich.text import Text

from headrace import printable
from headrace.cli.laptop import table

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
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Tell the user something that is not data."""
    stderr().print(Text(printable.block(text)), soft_wrap=True)


def say_error(what: str, remedy: str) -> None:
    """Tell the user what could not be done and, where there is something, what to do now."""
    stderr().print(Text.assemble(("Error:", "red"), " ", printable.block(what)), soft_wrap=True)
    if remedy:
        say(remedy)


def render(rows: Sequence[Row], columns: Mapping[str, Sequence[str]], form: Format) -> str:
    """Return ``rows`` as text.

    ``columns`` maps each heading of the table to the cells below it; the other forms take the rows as they are, and
    ``name`` their ``name``.
    """
    match form:
        case Format.TABLE:
            return _headed(table.text(columns, room()))
        case Format.JSON:
            return printable.as_json(list(rows), indent=2) + "\n"
        case Format.JSONL:
            return "".join(printable.as_json(row) + "\n" for row in rows)
        case Format.YAML:
            return _yaml(rows)
        case Format.NAME:
            return "".join(f"{printable.line(str(row['name']))}\n" for row in rows)


def room() -> int | None:
    """Return how many cells a line of stdout has; None where it is no terminal, and nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _headed(text: str) -> str:
    """Return a table with its first line as a heading, where there is a terminal."""
    head, _, rest = text.partition("\n")
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(Text(head, style="bold"), soft_wrap=True)
    return captured.get() + rest


def _yaml(rows: Sequence[Row]) -> str:
    text = yaml.safe_dump(list(rows), sort_keys=False, allow_unicode=True)
    return text if printable.is_safe(text) else yaml.safe_dump(list(rows), sort_keys=False)


def write(text: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(text)
    sys.stdout.flush()


def counted(number: int, thing: str) -> str:
    """Return how many there are: 1 dead letter, 2 dead letters."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def age(seconds: float) -> str:
    """Return a duration as kubectl does: 45s, 12m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size * 2:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"
