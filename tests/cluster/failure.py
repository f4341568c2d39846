"""The one error of this package: what failed, what to do, and where its log is, with the log's last lines.

It formats; it does not decide what to do.
"""

from pathlib import Path

TAIL_LINES = 15


class ClusterError(Exception):
    """Something the cluster needs did not work; `str()` is fit to be shown to a person as it is."""

    def __init__(self, what: str, *, advice: str = "", log: Path | None = None) -> None:
        parts = [what]
        if log is not None:
            parts.append(f"  log: {log}{tail(log)}")
        if advice:
            parts.append(f"  what to do: {advice}")
        super().__init__("\n".join(parts))


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Give the last `lines` lines of `log`, each on a new indented line; empty when there is nothing to show."""
    if not log.is_file():
        return " (not written yet)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        text = file.read().decode(errors="replace")
    return "".join(f"\n    | {line[:400]}" for line in text.splitlines()[-lines:])
