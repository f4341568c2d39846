"""What is known of the target, to be told to others."""

from __future__ import annotations

from typing import NamedTuple

from headrace.load import Circuit


class Target(NamedTuple):
    """Whether it takes records; while it takes none, since when (seconds since 1970) and by which exception's name."""

    circuit: Circuit = "closed"
    since: int = 0
    cause: str = ""
