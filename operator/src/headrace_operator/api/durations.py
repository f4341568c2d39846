"""Lengths of time as users write them, such as ``1m30s``: from a millisecond to a day."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from headrace_operator.api.schema import Rule

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
SHORTEST, LONGEST = "1ms", "24h"
"""None is no length of time: a time-out of nothing is none at all, or no attempt is in time."""

OUT_OF_BOUNDS = f"a length of time is from {SHORTEST} to {LONGEST}, such as 500ms, 10s or 1m30s"
MOST = 20
"""Characters of the longest text; what Kubernetes reads as a duration overflows beyond 292 years."""


def seconds(text: str | None, default: float) -> float:
    """Return the length of `text` in seconds, or `default` when there is none."""
    if text is None:
        return default
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", text))


def _bounded(text: str) -> str:
    if not seconds(SHORTEST, 0) <= seconds(text, 0) <= seconds(LONGEST, 0):
        raise ValueError(OUT_OF_BOUNDS)
    return text


Duration = Annotated[
    str, StringConstraints(pattern=r"^([0-9]+(ms|s|m|h))+$", max_length=MOST), AfterValidator(_bounded)
]
"""A length of time as text, such as ``10s``, ``1m30s`` or ``500ms``."""

Window = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}(m|h|d)$")]
"""How long something is remembered, such as ``7d``, ``36h`` or ``90m``."""

SENSIBLE = Rule(
    rule="!self.matches('[0-9]{9}|[0-9]{7}(s|m$|m[0-9]|h)') && "
    f"duration(self) >= duration('{SHORTEST}') && duration(self) <= duration('{LONGEST}')",
    message=OUT_OF_BOUNDS,
)
"""The first half keeps `duration` from overflowing, which would be told in Go's words."""
