"""What a commit says beside its offset: what became of the records from there on. On both sides of the contract.

It travels as the metadata of the committed offset, such as ``h1 done=12 retrying=1 held=3``. ``h1`` is the version:
metadata of another one, or of somebody else's consumer, says nothing. Fields that are not known are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

VERSION = "h1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Of one partition, from its committed offset on.

    ``done`` counts offsets that need no more work though an earlier record is unfinished; ``retrying`` the keys whose
    record failed and is tried again; ``held`` the unfinished records of those keys.
    """

    done: int = 0
    retrying: int = 0
    held: int = 0


def encode(progress: Progress) -> str:
    """Return the metadata that says ``progress``."""
    return " ".join((VERSION, *(f"{one.name}={getattr(progress, one.name)}" for one in fields(progress))))


def decode(metadata: str | None) -> Progress | None:
    """Return what the metadata of a commit says, None when it says nothing that we know."""
    version, *words = (metadata or "").split(" ")
    if version != VERSION:
        return None
    said = dict(word.partition("=")[::2] for word in words)
    known = {one.name: said[one.name] for one in fields(Progress) if one.name in said}
    if not all(count.isascii() and count.isdigit() and len(count) < 20 for count in known.values()):
        return None
    return Progress(**{name: int(count) for name, count in known.items()})
