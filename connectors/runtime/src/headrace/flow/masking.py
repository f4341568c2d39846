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

_COMPOUND = re.compile(r"(?:\\x[0-9a-f]{2})+|\w+(?:[@.+-]\w+)+")
_WORD = re.compile(r"(?:\\x[0-9a-f]{2})+|\w{4,}")
"""Words, apart from bytes that Python escaped."""


def masked(text: str, record: Record) -> str:
    """Return the beginning of ``text``, as one line, with a mark for each word that is in the record's key or value.

    It takes a few searches of the value for each word: some milliseconds for a megabyte.
    """
    found = " ".join(text[:LONGEST].split())
    key, value = record.key or b"", _spelled(record.value or b"")
    name = key.decode(errors="replace")
    if name and name in found:
        found = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", MASK, found)
    for words in (_COMPOUND, _WORD):
        found = words.sub(
            lambda word: MASK if _is_said(word[0].encode(errors="replace"), key, value) else word[0], found
        )
    return found


def _spelled(value: bytes) -> bytes:
    """Return ``value``; what JSON escapes of letters is there as letters, too."""
    if b"\\u" not in value:
        return value
    try:
        return value + json.dumps(json.loads(value), ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError):
        return value


def _is_said(word: bytes, key: bytes, value: bytes) -> bool:
    """Whether the value has the word otherwise than as the name of a field, or the key has it and no field is so."""
    if word not in value:
        return word in key
    return value.count(word) > len(re.findall(rb'"%s"\s*:' % re.escape(word), value))
