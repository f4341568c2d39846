"""What a commit says beside its offset: what became of the records from there on. On both sides of the contract.

It travels as the metadata of the committed offset, such as ``h1 done=12 retrying=1 held=3 running=1 map=AAt4…``. ``h1``
is the version: metadata of another one, or of somebody else's consumer, says nothing. Fields that are not known are
passed over, as are ``stopped`` where it is not as in ``stopped=4/12@1031``, ``sequences`` where it is not as in
``sequences=4/12+3``, ``first`` where it is not as in ``first=6@1795863600``, ``parkers`` where it is not as in
``parkers=1031/9f86d081884c7d65/12,1040/…``, and ``mark`` where it is not two UIDs with ``/`` between. Only the consumer
reads ``map`` (`headrace.flow.offset_map`) and ``parkers``. One partition of each pod also tells its `headrace.load`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from headrace import load
from headrace.load import LoadReport

VERSION = "h1"

LONGEST = 4_095
"""Characters that Kafka takes as metadata by its defaults (``offset.metadata.max.bytes``), less the client's NUL."""

COUNTS = ("done", "retrying", "held")
STOP = re.compile(r"([0-9]{1,10})/([0-9]{1,19})@([0-9]{1,19})")
MARK = re.compile(r"[A-Za-z0-9-]{1,64}/[A-Za-z0-9-]{1,64}")
FIRST = re.compile(r"([0-9]{1,10})@([0-9]{1,19})")
PARKER = r"[0-9]{1,19}/[0-9a-f]{16}(/[0-9]{1,19})?"
PARKERS = re.compile(f"{PARKER}(,{PARKER}){{0,3}}")
SEQUENCES = re.compile(r"([0-9]{1,10})/([0-9]{1,19})\+([0-9]{1,10})")


class Stop(NamedTuple):
    """The dead letter that a partition stands behind: where it lies in its topic, and its record's ``offset``."""

    partition: int
    letter: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.letter}@{self.offset}"


class Sequences(NamedTuple):
    """How many ``keys`` of a partition wait behind dead letters of theirs: all of those lie from ``letter`` on."""

    partition: int
    letter: int
    keys: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.letter}+{self.keys}"


class First(NamedTuple):
    """When the group began with a partition: how many ``partitions`` its topic had then, and the seconds since 1970."""

    partitions: int
    at: int

    def __str__(self) -> str:
        return f"{self.partitions}@{self.at}"


class Parker(NamedTuple):
    """One ownership of the partitions of a number, by its random name, and ``since`` which offset of the retry one.

    From there to the next one's only what was parked in this ownership counts, and from ``letter`` on only its dead
    letters, where keys can wait behind those (`headrace.flow.ownership`).
    """

    since: int
    by: str
    letter: int | None = None

    def __str__(self) -> str:
        return f"{self.since}/{self.by}" if self.letter is None else f"{self.since}/{self.by}/{self.letter}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Of one partition, from its committed offset on.

    ``done`` counts offsets that need no more work though an earlier record is unfinished; ``retrying`` the keys whose
    record failed and is tried again; ``held`` the unfinished records of those keys. ``running`` says that a consumer
    works on the partition and has not ended in order; ``map`` is its offset map, empty when nothing is worth a map.
    ``load`` is that of the pod, where this partition tells it; ``stopped`` is there where the partition stands, and
    ``sequences`` where keys of it may wait behind their dead letters; ``first`` is told of a source's;
    ``parkers`` are at most four. ``mark`` has the UIDs of the Consumer's namespace and of the Consumer, empty where
    there are none.
    """

    done: int = 0
    retrying: int = 0
    held: int = 0
    running: bool = False
    map: str = ""
    load: LoadReport | None = None
    stopped: Stop | None = None
    sequences: Sequences | None = None
    first: First | None = None
    parkers: tuple[Parker, ...] = ()
    mark: str = ""


def encode(progress: Progress) -> str:
    """Return the metadata that says ``progress``: ASCII, as long as map and load, and at most 500 characters more."""
    words = [VERSION, *(f"{name}={getattr(progress, name)}" for name in COUNTS)]
    if progress.running:
        words.append("running=1")
    more = {name: getattr(progress, name) for name in ("stopped", "sequences", "first")}
    more |= {"parkers": ",".join(map(str, progress.parkers)), "mark": progress.mark}
    words.extend(f"{name}={what}" for name, what in more.items() if what)
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
    return Progress(
        **numbers,
        running=running,
        map=said.get("map", ""),
        load=load.report(said),
        stopped=_stop(said.get("stopped", "")),
        sequences=_sequences(said.get("sequences", "")),
        first=_first(said.get("first", "")),
        parkers=_parkers(said.get("parkers", "")),
        mark=mark if MARK.fullmatch(mark := said.get("mark", "")) else "",
    )


def _stop(said: str) -> Stop | None:
    found = STOP.fullmatch(said)
    return None if found is None else Stop(*map(int, found.groups()))


def _sequences(said: str) -> Sequences | None:
    found = SEQUENCES.fullmatch(said)
    return None if found is None else Sequences(*map(int, found.groups()))


def _first(said: str) -> First | None:
    found = FIRST.fullmatch(said)
    return None if found is None else First(*map(int, found.groups()))


def _parkers(said: str) -> tuple[Parker, ...]:
    found = [one.split("/") for one in said.split(",")] if PARKERS.fullmatch(said) else []
    return tuple(Parker(int(since), by, *map(int, letter)) for since, by, *letter in found)
