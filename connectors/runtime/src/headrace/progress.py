"""What a commit says beside its offset: what became of the records from there on. On both sides of the contract.

It travels as the metadata of the committed offset, such as ``h1 done=12 retrying=1 held=3 running=1 map=AAt4…``. ``h1``
is the version: metadata of another one, or of somebody else's consumer, says nothing. Fields that are not known are
passed over. Only the consumer reads ``map`` (`headrace.flow.offset_map`). One partition of each pod also tells its
`headrace.load`.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace import load
from headrace.load import LoadReport

VERSION = "h1"

LONGEST = 4_095
"""Characters that Kafka takes as metadata by its defaults (``offset.metadata.max.bytes``), less the client's NUL."""

COUNTS = ("done", "retrying", "held")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Of one partition, from its committed offset on.

    ``done`` counts offsets that need no more work though an earlier record is unfinished; ``retrying`` the keys whose
    record failed and is tried again; ``held`` the unfinished records of those keys. ``running`` says that a consumer
    works on the partition and has not ended in order; ``map`` is its offset map, empty when nothing is worth a map.
    ``load`` is that of the pod, where this partition tells it.
    """

    done: int = 0
    retrying: int = 0
    held: int = 0
    running: bool = False
    map: str = ""
    load: LoadReport | None = None


def encode(progress: Progress) -> str:
    """Return the metadata that says ``progress``: ASCII, as long as map and load, and at most 90 characters more."""
    words = [VERSION, *(f"{name}={getattr(progress, name)}" for name in COUNTS)]
    if progress.running:
        words.append("running=1")
    if progress.load:
        words.extend(load.words(progress.load))
    if progress.map:
        words.append(f"map={progress.map}")
    return " ".join(words)


def decode(metadata: str | None) -> Progress | None:
    """Return what the metadata of a commit says, None when it says nothing that we know."""
    version, *words = (metadata or "").split(" ")
    if version != VERSION:
        return None
    said = dict(word.partition("=")[::2] for word in words)
    counts = {name: said[name] for name in (*COUNTS, "running") if name in said}
    if not all(count.isascii() and count.isdigit() and len(count) < 20 for count in counts.values()):
        return None
    numbers = {name: int(counts.get(name, 0)) for name in COUNTS}
    running = counts.get("running") == "1"
    return Progress(**numbers, running=running, map=said.get("map", ""), load=load.report(said))
