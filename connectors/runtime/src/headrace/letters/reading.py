"""Which dead letters of a consumer are outstanding: written to its dead-letter topic and not resolved since.

A resolution is a record in the compacted resolutions topic whose key (`headrace.resolutions`) names the dead letter.
It must not change anything on Kafka; a payload leaves this module only in ``find``.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from headrace import headers, parsing
from headrace import resolutions as keys
from headrace.config import Topics
from headrace.flow.offsets import Span
from headrace.flow.patience import Patience
from headrace.kafka.topics import ANSWER, Reader, Stored, UnansweredError
from headrace.letters import pointers
from headrace.letters.resolutions import document
from headrace.record import Position

AGAIN = 0.1
"""Seconds between looks whether a transaction is still open."""

Encoding = Literal["text", "base64"]
Kept = TypeVar("Kept")


class Place(NamedTuple):
    """Where a dead letter lies in the dead-letter topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


class Shown(BaseModel):
    """What people and programs are shown: camelCase names, as in the custom resources."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Source(Shown):
    """Where the record first was."""

    topic: str
    partition: int
    offset: int


class Pointed(Source):
    """The record that a dead letter without value points to; ``bytes`` and ``sha256`` are those of its value."""

    bytes: int
    sha256: str


class Letter(Shown):
    """A dead letter without its payload; what its headers do not say is None. ``name`` is ``<partition>/<offset>``.

    ``exception`` is the qualified name of its class, ``location`` says where in the user's code it was raised, and
    ``pointer`` is there when the record was too large for the dead-letter topic.
    """

    name: str
    key: str | None
    key_encoding: Encoding = "text"
    source: Source | None
    reason: str | None
    attempts: int | None
    handler_status: int | None
    error: str | None
    first_failed_at: datetime | None
    last_failed_at: datetime | None
    redrive_count: int
    message_id: str | None
    bytes: int
    pointer: Pointed | None = None
    exception: str | None = None
    location: str | None = None


class Header(Shown):
    """One header of a dead letter; ``value`` is text when it is text, else base64."""

    name: str
    value: str | None
    encoding: Encoding = "text"


class Opened(Shown):
    """A dead letter with its payload and headers; ``resolution`` says what became of it, None while outstanding.

    ``resolution_key`` is the key of the record in the resolutions topic that says so, or would.
    """

    letter: Letter
    value: str | None
    value_encoding: Encoding
    headers: tuple[Header, ...]
    resolution: dict[str, object] | None
    resolution_key: str = ""


_PLACE = re.compile(r"([0-9]{1,10})/([0-9]{1,19})")


def outstanding(reader: Reader, topics: Topics) -> Iterator[Letter]:
    """Yield the outstanding dead letters, in order of partition and offset; raises what ``Reader`` raises."""
    known = _known(reader, topics)
    return (one for one in _letters(reader, topics, known) if _place(one) not in known.resolutions)


def resolved(reader: Reader, topics: Topics) -> Iterator[Letter]:
    """Yield the dead letters that were put back, in the same order; raises what ``Reader`` raises."""
    known = _known(reader, topics)
    return (one for one in _letters(reader, topics, known) if _place(one) in known.resolutions)


def lost(reader: Reader, topics: Topics) -> Iterator[Letter]:
    """Yield those of `resolved` whose record is not in the retry topic, so that nobody will handle it.

    Whether somebody did before it was deleted there, Kafka does not say. Raises the same.
    """
    known = _known(reader, topics)
    there = set(_put_back(reader, topics.retry))  # after the resolutions, as each came with its record
    for one in _letters(reader, topics, known):
        sent = _sent(one, known.resolutions.get(_place(one)))
        if sent is not None and sent not in there:
            yield one


def wanted(reader: Reader, topics: Topics, *, put_back: bool, gone: bool) -> Iterator[Letter]:
    """Yield those that are `lost` where ``gone``, `resolved` where ``put_back``, or else `outstanding`."""
    if gone:
        return lost(reader, topics)
    return resolved(reader, topics) if put_back else outstanding(reader, topics)


def written(reader: Reader, topic: str, number: int | None = None) -> dict[int, int]:
    """Return where the partitions of a topic end, or that of this ``number``, also in open transactions.

    What was put back lies before that in the retry topic, where its resolution was read before. Raises what ``Reader``
    raises.
    """
    with reader.uncommitted() as every:
        return {one: span.end for one, span in every.spans(topic, number).items()}


def settled(reader: Reader, topic: str, number: int | None = None) -> dict[int, Span]:
    """Return what a topic, or its partition ``number``, holds, once no transaction is open before its present end.

    That hides what lies behind it, whoever wrote that. Raises UnansweredError where one is after ANSWER seconds of
    waiting, and what ``Reader`` raises.
    """
    ends, spans = written(reader, topic, number), reader.spans(topic, number)
    patience = Patience(ANSWER, time.monotonic())
    while any(span.end < ends.get(one, 0) for one, span in spans.items()):
        if patience.is_over(time.monotonic()):
            raise UnansweredError(f"a transaction is open in {topic}, which hides what is behind it; try again later")
        time.sleep(AGAIN)
        spans = reader.spans(topic, number)
    return spans


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the dead-letter topic held, and what had become of that a moment later."""

    spans: Mapping[int, Span]
    resolutions: Mapping[Place, bytes]


def _known(reader: Reader, topics: Topics) -> _Known:
    spans = reader.spans(topics.dead_letters)
    return _Known(spans=spans, resolutions=resolutions(reader, topics, reader.id(topics.dead_letters), bytes))


def _letters(reader: Reader, topics: Topics, known: _Known) -> Iterator[Letter]:
    for partition, span in known.spans.items():
        yield from map(letter, reader.read(topics.dead_letters, partition, span))


def _place(one: Letter) -> Place:
    return parse_place(one.name)


def _put_back(reader: Reader, retry: str) -> Iterator[tuple[str | None, Position | None]]:
    """Yield of which redrive each record of the retry topic is, and where it first was, as soon as it is written."""
    with reader.uncommitted() as every:
        for partition, span in every.spans(retry).items():
            for stored in every.read(retry, partition, span):
                said = headers.decode(stored.headers)
                yield said.redrive_id, said.origin


def _sent(one: Letter, resolution: bytes | None) -> tuple[str, Position] | None:
    """Return what `_put_back` yields of a letter that was put back; None of another, and where that is not known."""
    redrive_id = None if resolution is None else document(resolution).get("redriveId")
    if not isinstance(redrive_id, str) or one.source is None:
        return None
    return redrive_id, Position(one.source.topic, one.source.partition, one.source.offset)


def resolutions(
    reader: Reader,
    topics: Topics,
    dead_letters: str,
    keep: Callable[[bytes], Kept],
    wanted: Callable[[Place], bool] = lambda place: True,
) -> dict[Place, Kept]:
    """Return what to ``keep`` of the last resolution of each letter in the topic with the id ``dead_letters``.

    A tombstone takes one back. Of letters that are not ``wanted`` nothing is kept: there may be very many. All that was
    committed before it is asked is in it, whoever has a transaction open beside it. Those that name no topic count as
    long as none names another one. Raises what ``Reader`` raises.
    """
    ours, unnamed, others = dict[Place, Kept](), dict[Place, Kept](), set[keys.Key]()
    for partition, span in settled(reader, topics.resolutions).items():
        for stored in reader.read(topics.resolutions, partition, span):
            key = keys.decode(stored.key)
            if key is None:
                continue
            place, last = Place(key.partition, key.offset), ours if key.topic == dead_letters else unnamed
            if key.topic not in {dead_letters, keys.NO_ID}:
                _note(others, key, stored.value)
            elif stored.value is None:
                last.pop(place, None)
            elif wanted(place):
                last[place] = keep(stored.value)
    return ours if others or not unnamed else {**unnamed, **ours}


def _note(others: set[keys.Key], key: keys.Key, value: bytes | None) -> None:
    """Note that a resolution is of another topic, or is taken back."""
    if value is None:
        others.discard(key)
    else:
        others.add(key)


def find(reader: Reader, topics: Topics, place: Place) -> Opened | None:
    """Return the dead letter at ``place`` with its payload, or None when there is none (any more)."""
    held = reader.spans(topics.dead_letters).get(place.partition)
    if held is None or not held.start <= place.offset < held.end:
        return None
    span = Span(start=place.offset, end=place.offset + 1)
    topic = reader.id(topics.dead_letters)
    for stored in reader.read(topics.dead_letters, place.partition, span):
        if stored.offset == place.offset:
            opened = _opened(stored, resolutions(reader, topics, topic, bytes, place.__eq__).get(place))
            return opened.model_copy(update={"resolution_key": str(keys.Key(topic, *place))})
    return None


def parse_place(text: str) -> Place:
    """Read ``<partition>/<offset>``; raises ``ValueError`` when it is not that."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:100]!r} is not PARTITION/OFFSET, as 3/120")
    return Place(int(found[1]), int(found[2]))


def letter(stored: Stored) -> Letter:
    """Return what ``stored`` says of itself as a dead letter."""
    said = headers.decode(stored.headers)
    key, key_encoding = _readable(stored.key)
    return Letter(
        name=str(Place(stored.partition, stored.offset)),
        key=key,
        key_encoding=key_encoding,
        source=Source(**said.origin._asdict()) if said.origin else None,
        reason=said.reason,
        attempts=said.attempts,
        handler_status=said.status,
        error=said.message,
        first_failed_at=parsing.moment(said.first_failed_at),
        last_failed_at=parsing.moment(said.last_failed_at) or parsing.moment(stored.timestamp),
        redrive_count=said.redrive_count,
        message_id=said.message_id,
        bytes=len(stored.value or b""),
        pointer=_pointed(stored),
        exception=said.exception,
        location=said.location,
    )


def _pointed(stored: Stored) -> Pointed | None:
    found = pointers.decode(stored.headers)
    return None if found is None else Pointed(**found.at._asdict(), bytes=found.bytes, sha256=found.digest)


def _opened(stored: Stored, resolution: bytes | None) -> Opened:
    value, encoding = _readable(stored.value)
    return Opened(
        letter=letter(stored),
        value=value,
        value_encoding=encoding,
        headers=tuple(_header(name, content) for name, content in stored.headers),
        resolution=None if resolution is None else document(resolution),
    )


def _header(name: str, content: bytes | None) -> Header:
    value, encoding = _readable(content)
    return Header(name=name, value=value, encoding=encoding)


def number(header: Header) -> int | None:
    """Return what a header says that holds a binary number, as Spring for Apache Kafka writes them, else None."""
    if header.name not in headers.NUMBERS or header.value is None:
        return None
    content = base64.b64decode(header.value) if header.encoding == "base64" else header.value.encode()
    return int.from_bytes(content, "big", signed=True)


def _readable(content: bytes | None) -> tuple[str | None, Encoding]:
    if content is None:
        return None, "text"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode(), "base64"
    if "\x00" in text:
        return base64.b64encode(content).decode(), "base64"
    return text, "text"
