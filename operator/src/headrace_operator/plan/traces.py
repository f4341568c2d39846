"""What a Java trace says in one short line: its first line, and its root cause where that says more."""

from __future__ import annotations

from headrace import printable

LONGEST = 500
CAUSE = "Caused by: "


def summary(trace: str | None, telling: str | None = None) -> str | None:
    """Return one line of at most 500 characters, or None for no trace; frames and causes in between are left out.

    It begins with the line that is ``telling``, else with the first; one beside the chain of causes has no root there.
    """
    lines = [line.rstrip() for line in (trace or "").strip().splitlines()]
    if not lines:
        return None
    causes = [line.removeprefix(CAUSE) for line in lines if line.startswith(CAUSE)]
    first = telling or lines[0]
    is_link = any(link.startswith(first) for link in (lines[0], *causes))
    root = causes[-1] if causes and is_link else ""
    said = root.partition(": ")[2] or root
    if not said or said in first:
        return _short(first, LONGEST)
    return f"{_short(first, LONGEST // 2)} (root cause: {_short(root, LONGEST // 2 - 20)})"


def _short(line: str, longest: int) -> str:
    return printable.brief(line, longest)
