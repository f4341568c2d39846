"""Text of others as a terminal may be given it: nothing in it moves the cursor, begins a line or turns others around.

What a terminal would obey is escaped as Python writes it (``\\x1b``, ``\\n``, ``\\u202e``), in JSON as JSON does. Pure:
it must not print.
"""

from __future__ import annotations

import json
import re

_OBEYED = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""Controls above ASCII, separators of lines, marks that turn text around, and halves of characters."""

_UNSAFE = re.compile(f"[\x00-\x1f{_OBEYED}]")
_UNSAFE_IN_JSON = re.compile(f"[{_OBEYED}]")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def line(text: str) -> str:
    """Return ``text`` as one line."""
    return _UNSAFE.sub(_escaped, text)


def brief(text: str, longest: int) -> str:
    """Return ``text`` as one line of at most ``longest`` characters, in which blanks and line breaks are one blank."""
    plain = _one_line(text)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def both_ends(text: str, longest: int) -> str:
    """Return the same with the middle left out where it is longer, of a text whose end says what it is about."""
    plain, half = _one_line(text), (longest - 1) // 2
    return plain if len(plain) <= longest else f"{plain[:half]}…{plain[-half:]}"


def block(text: str, indent: str = "  ") -> str:
    """Return ``text`` with its own lines, of which those after the first stand ``indent`` to the right."""
    return f"\n{indent}".join(map(line, text.split("\n")))


def as_json(value: object, *, indent: int | None = None) -> str:
    """Return ``value`` as JSON that says the same and is safe to look at."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_safe(text: str) -> bool:
    """Tell whether a terminal obeys nothing in ``text`` but its newlines."""
    return _UNSAFE.search(text.replace("\n", "")) is None


def _one_line(text: str) -> str:
    return line(" ".join(text.split()))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return _NAMED.get(found[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
