"""How a Kafka Connect that others run names a key of a Secret: the expression that its config provider replaces. Pure.

Headrace itself names one as ``${secrets:NAMESPACE/NAME:KEY}`` (`api.properties.WHOLE`); in such an expression stand
``{namespace}``, ``{name}`` and ``{key}`` in their places. Source: Apache Kafka, KIP-297, ``${provider:path:key}``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from headrace_operator.api.properties import WHOLE
from headrace_operator.api.schema import Rule

PLACEHOLDERS = {"{namespace}": r"([a-z0-9-]+)", "{name}": r"([a-z0-9.-]+)", "{key}": r"([-._a-zA-Z0-9]+)"}
EXAMPLE = "${secrets:{namespace}/{name}:{key}}"

_PART = r"([A-Za-z0-9/._@=+~-]|\{(namespace|name|key)\})+"
PATTERN = rf"^\$\{{[A-Za-z0-9._-]+:{_PART}(:{_PART})?\}}$"
TOUCHING = r"\}[-.A-Za-z0-9]*\{"
"""Two placeholders with nothing between that no name has: two keys could be one text."""

MESSAGE = (
    f"write one expression of a config provider with {{name}} and {{key}} in it, once each and a / or : between, and "
    f"{{namespace}} where it needs that, such as {EXAMPLE}"
)
RULE = Rule(
    rule=f"self.matches(r'{PATTERN}') && !self.matches(r'{TOUCHING}') && self.contains('{{name}}') && "
    f"self.contains('{{key}}') && {list(PLACEHOLDERS)}.all(one, self.indexOf(one) == self.lastIndexOf(one))",
    message=MESSAGE,
)


def judged(text: str) -> str:
    """Return ``text`` if it is such an expression; raises ``ValueError``."""
    once = all(text.count(one) <= 1 for one in PLACEHOLDERS) and "{name}" in text and "{key}" in text
    if not once or re.fullmatch(PATTERN, text) is None or re.search(TOUCHING, text):
        raise ValueError(MESSAGE)
    return text


def written(value: str, expression: str) -> str:
    """Return a property's value as ``expression`` has it: a key of a Secret by that, and else as it is."""
    if (found := re.fullmatch(WHOLE, value)) is None:
        return value
    parts = dict(zip(PLACEHOLDERS, (found[1], found[2], value[:-1].rpartition(":")[2]), strict=True))
    return re.sub(r"\{[a-z]+\}", lambda one: parts[one[0]], expression)


def read(value: str, expression: str, namespace: str) -> str:
    """Return a value of which `written` made this one; of ``namespace`` is what names none."""
    order, pattern = _pattern(expression)
    if (found := pattern.fullmatch(value)) is None:
        return value
    named = {"{namespace}": namespace, **dict(zip(order, found.groups(), strict=True))}
    return f"${{secrets:{named['{namespace}']}/{named['{name}']}:{named['{key}']}}}"


@functools.lru_cache(maxsize=64)
def _pattern(expression: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return the placeholders of an expression in their order, and the pattern of what is made of it."""
    parts = re.split(f"({'|'.join(map(re.escape, PLACEHOLDERS))})", expression)
    text = "".join(PLACEHOLDERS.get(part) or re.escape(part) for part in parts)
    return tuple(part for part in parts if part in PLACEHOLDERS), re.compile(text)


def everywhere(found: Any, turn: Callable[[str], str]) -> Any:
    """Return JSON with each text as ``turn`` makes it; the names of fields stay."""
    match found:
        case str():
            return turn(found)
        case dict():
            return {name: everywhere(one, turn) for name, one in found.items()}
        case list():
            return [everywhere(one, turn) for one in found]
        case _:
            return found
