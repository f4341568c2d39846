"""Lengths of time as users write them, such as ``1m30s``."""

from __future__ import annotations

import re

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str | None, default: float) -> float:
    """Return the length of `text` in seconds, or `default` when there is none."""
    if text is None:
        return default
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h)", text))
