"""A plain table, as kubectl prints them. Where it is too wide the last column is cut first, and no column is lost.

Pure: it must not print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size

from headrace import printable

Columns = Mapping[str, Sequence[str]]
"""Each heading and the cells below it."""

GAP = "  "
WHOLE = frozenset({"NAMESPACE", "NAME"})
"""What one types next: never cut."""

TEXTS = {"KIND": 8, "KEY": 12, "SOURCE": 6, "REASON": 6}
"""What may be cut, down to so many cells, before any figure is."""

STAGES = ((32, None), (24, 24), (16, 16), (0, 0))
"""How much is left of the last column and of each other one; it is cut further when that is still too wide."""

PADDED = 64
"""Cells to which a column is filled up where nothing is cut."""


def text(columns: Columns, room: int | None) -> str:
    """Return the lines of the table, at most ``room`` cells wide; None: as wide as it is."""
    safe = {heading: [printable.line(cell) for cell in cells] for heading, cells in columns.items()}
    wide = {heading: max(map(cell_len, (heading, *cells))) for heading, cells in safe.items()}
    widths = {one: min(width, PADDED) for one, width in wide.items()} if room is None else fitted(wide, room)
    rows = [tuple(safe), *zip(*safe.values(), strict=True)]
    return "".join(_line(row, tuple(widths.values()), cut=room is not None) + "\n" for row in rows)


def fitted(widths: Mapping[str, int], room: int) -> dict[str, int]:
    """Return what is left of each column, in cells, so that all of them need no more than ``room`` if that can be.

    Figures are cut at the very end, and then down to their headings.
    """
    left = {heading: width if heading in WHOLE else min(width, room) for heading, width in widths.items()}
    last = list(left)[-1]
    stages = [{last: most, **({} if rest is None else dict.fromkeys(TEXTS, rest))} for most, rest in STAGES]
    for floors in (*stages, dict.fromkeys((one for one in left if one not in {"KEY", *WHOLE}), 0)):
        _cut(left, {one: max(least, TEXTS.get(one, 0), len(one)) for one, least in floors.items()}, room)
    return left


def _cut(left: dict[str, int], floors: Mapping[str, int], room: int) -> None:
    """Take from the columns that are widest above their floors, until all of them need no more than ``room``."""
    over = sum(left.values()) + len(GAP) * (len(left) - 1) - room
    spare = {heading: left[heading] - floor for heading, floor in floors.items() if heading in left}
    while over > 0 and (widest := max(spare, key=lambda heading: spare[heading])) and spare[widest] > 0:
        spare[widest] -= 1
        left[widest] -= 1
        over -= 1


def _line(cells: Sequence[str], widths: Sequence[int], *, cut: bool) -> str:
    return GAP.join(_cell(cell, width, cut) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cell(cell: str, width: int, cut: bool) -> str:
    if cell_len(cell) <= width:
        return set_cell_size(cell, width)
    return set_cell_size(cell, width - 1) + "…" if cut else cell
