"""Values that stand in Secrets and nowhere else: planted before a run, and looked for in all that it leaves behind.

A test plants one for each key of each Secret, has the real parts run, fail and be told wrong passwords, collects what
they wrote by where they wrote it, and asks `seen`.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A value and what it stands for, such as ``login/password``."""

    place: str
    value: str


def planted(place: str) -> Canary:
    """Return a value that nobody can have by chance: letters and digits, and one character that is often escaped."""
    return Canary(place=place, value=f"canary{secrets.token_hex(8)}&{secrets.token_hex(8)}")


def seen(canaries: Iterable[Canary], left: Mapping[str, str | bytes]) -> list[str]:
    """Return where which canary is found, in any form that it may have been written in."""
    every = [(one.place, form) for one in canaries for form in _forms(one.value)]
    texts = {where: text.encode() if isinstance(text, str) else text for where, text in left.items()}
    return sorted({f"{place} in {where}" for where, text in texts.items() for place, form in every if form in text})


def _forms(value: str) -> Iterator[bytes]:
    """Yield the value as it is, each half, and as JSON, URLs, XML, base64 (at each offset) and hexadecimal write it."""
    plain = value.encode()
    yield from (plain, *plain.split(b"&"), json.dumps(value)[1:-1].encode(), quote(value, safe="").encode())
    yield from (plain.replace(b"&", b"&amp;"), plain.replace(b"&", b"\\u0026"), plain[::-1])
    yield from (binascii.hexlify(plain), binascii.hexlify(plain).upper())
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * shift + plain)[4 if shift else 0 : -4]
