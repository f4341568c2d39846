"""The text of a failure as a log may have it: without what it quotes of the record's key and value.

Pure. Names of fields stay; so do words of less than four characters, which are in any text.
"""

from __future__ import annotations

import json
import re

from headrace.record import Record

LONGEST = 300
"""Characters kept of a text."""

MASK = "…"

_COMPOUND, _WORD = re.compile(r"\w+(?:[@.+-]\w+)+"), re.compile(r"\w{4,}")


def masked(text: str, record: Record) -> str:
    """Return the beginning of ``text``, as one line, with a mark for each word that is in the record's key or value."""
    found = " ".join(text[:LONGEST].split())
    key, value = _text(record.key), _text(record.value)
    if key:
        found = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", MASK, found)
    for words in (_COMPOUND, _WORD):
        found = words.sub(lambda word: MASK if _is_said(word[0], key, value) else word[0], found)
    return found


def _text(content: bytes | None) -> str:
    """Return ``content`` as text; what JSON escapes of letters is there as letters, too."""
    text = (content or b"").decode(errors="backslashreplace")
    if "\\u" not in text:
        return text
    try:
        return text + json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _is_said(word: str, key: str, value: str) -> bool:
    """Whether the value has the word otherwise than as the name of a field, or the key has it and no field is so."""
    names = len(re.findall(rf'"{re.escape(word)}"\s*:', value))
    return value.count(word) > names or (not names and word in key)
