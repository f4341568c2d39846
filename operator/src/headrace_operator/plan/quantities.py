"""Amounts of compute in the notation of Kubernetes, so that two texts of one amount are known to be the same."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil

_TEXT = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?")
_SCALES = {
    **{suffix: Fraction(10) ** (3 * (place - 3)) for place, suffix in enumerate(("n", "u", "m", "", *"kMGTPE"))},
    **{f"{letter}i": Fraction(1024) ** place for place, letter in enumerate("KMGTPE", 1)},
}
_FINEST = 1000
_GREATEST = 2**63 - 1


def are_equal(one: object, other: object) -> bool:
    """Tell whether two texts are the same amount, as ``0.5`` and ``500m`` are; what is no amount equals its like."""
    if one == other:
        return True
    first, second = _amount(one), _amount(other)
    return first is not None and first == second


def is_above(one: object, other: object) -> bool:
    """Tell whether the first text is the greater amount; what is no amount is above nothing."""
    first, second = _amount(one), _amount(other)
    return first is not None and second is not None and first > second


def _amount(value: object) -> Fraction | None:
    """Return the amount as Kubernetes keeps it: rounded up to a thousandth, and bounded."""
    found = _TEXT.fullmatch(str(value))
    if found is None:
        return None
    number, suffix, exponent = found.groups()
    scale = Fraction(10) ** int(exponent) if exponent else _SCALES[suffix or ""]
    return min(Fraction(ceil(Fraction(number) * scale * _FINEST), _FINEST), Fraction(_GREATEST))
