"""The few messages of Kafka's protocol that ask for committed offsets of many groups at once, and for a login.

Pure: bytes in, bytes out; raises ``ValueError`` for bytes that are no such answer. Source: Kafka's protocol guide
(kafka.apache.org/protocol), KIP-482 for the compact form, KIP-699 and KIP-709 for many groups in one request.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from headrace_operator.observed.kafka import Partition

CLIENT = b"headrace-operator"
GROUP = b"\0"
"""The kind of coordinator that is looked for."""

NO_TAGS = b"\0"
SHORT, INT, LONG = struct.Struct(">h"), struct.Struct(">i"), struct.Struct(">q")
HEAD = struct.Struct(">hhi")
RANGE = struct.Struct(">hhh")
OFFSET = struct.Struct(">iqi")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Call:
    """A request: its key and version in the protocol, and whether that version has the compact form."""

    key: int
    version: int
    compact: bool

    def frame(self, number: int, body: bytes) -> bytes:
        """Return the bytes of a request called ``number``, with their length before them."""
        head = HEAD.pack(self.key, self.version, number) + SHORT.pack(len(CLIENT)) + CLIENT
        whole = head + (NO_TAGS if self.compact else b"") + body
        return INT.pack(len(whole)) + whole

    def answer(self, number: int, frame: bytes) -> Reader:
        """Return the body of the answer to ``number``."""
        read = Reader(frame)
        if read.number(INT) != number:
            raise ValueError("an answer to another question")
        if self.compact:
            read.tags()
        return read


VERSIONS = Call(18, 0, compact=False)
HANDSHAKE = Call(17, 1, compact=False)
AUTHENTICATE = Call(36, 1, compact=False)
COORDINATORS = Call(10, 4, compact=True)
OFFSETS = Call(9, 8, compact=True)


class Reader:
    """Reads what lies in ``data``, one thing after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def numbers(self, form: struct.Struct) -> tuple[int, ...]:
        """Read some numbers."""
        try:
            found = form.unpack_from(self._data, self._at)
        except struct.error as error:
            raise ValueError("the answer ends too early") from error
        self._at += form.size
        return found

    def number(self, form: struct.Struct) -> int:
        """Read one number."""
        return self.numbers(form)[0]

    def length(self) -> int:
        """Read a number of at most five bytes, each with seven bits of it, the lowest first."""
        found = 0
        for place in range(5):
            (byte,) = self.some(1)
            found |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return found
        raise ValueError("a length of more than five bytes")

    def some(self, count: int) -> bytes:
        """Read so many bytes."""
        found = self._data[self._at : self._at + count]
        if count < 0 or len(found) < count:
            raise ValueError("the answer ends too early")
        self._at += count
        return found

    def text(self) -> str | None:
        """Read a compact text."""
        length = self.length()
        return None if length == 0 else self.some(length - 1).decode(errors="replace")

    def long_text(self) -> str | None:
        """Read a text of the older form."""
        length = self.number(SHORT)
        return None if length < 0 else self.some(length).decode(errors="replace")

    def each(self, read: Callable[[Reader], Item]) -> list[Item]:
        """Read a compact list."""
        return [read(self) for _ in range(self.length() - 1)]

    def tags(self) -> None:
        """Pass over what later versions added."""
        for _ in range(self.length()):
            self.length()
            self.some(self.length())


class Coordinator(NamedTuple):
    """Where a group is looked after; with an ``error`` of Kafka's, and its words, nobody knows."""

    group: str
    address: tuple[str, int]
    error: int
    message: str | None


class Offset(NamedTuple):
    """What is committed of a partition: below 0 nothing; or an ``error`` of Kafka's."""

    at: Partition
    offset: int
    metadata: str
    error: int


class GroupOffsets(NamedTuple):
    """What a group has committed, or an ``error`` of Kafka's."""

    group: str
    offsets: tuple[Offset, ...]
    error: int


def versions(read: Reader) -> Mapping[int, range]:
    """Return which versions of each request a broker takes."""
    error, count = read.number(SHORT), read.number(INT)
    if error:
        raise ValueError(f"no versions, but the error {error}")
    ranges = (read.numbers(RANGE) for _ in range(count))
    return {key: range(least, most + 1) for key, least, most in ranges}


def handshake(mechanism: str) -> bytes:
    """Return the body that says how the login will go."""
    return SHORT.pack(len(mechanism)) + mechanism.encode()


def token(said: bytes) -> bytes:
    """Return the body with one step of a login."""
    return INT.pack(len(said)) + said


def logged_in(read: Reader) -> tuple[int, str | None, bytes]:
    """Return the error of a step of a login, its words, and what the broker says in it."""
    error, message, length = read.number(SHORT), read.long_text(), read.number(INT)
    return error, message, read.some(max(0, length))


def coordinators_of(groups: Iterable[str]) -> bytes:
    """Return the body that asks who looks after ``groups``."""
    return GROUP + _list([_text(group) for group in groups]) + NO_TAGS


def coordinators(read: Reader) -> list[Coordinator]:
    """Return who looks after the groups that were asked about."""
    read.number(INT)  # how long the broker asks to wait
    return read.each(_coordinator)


def offsets_of(groups: Mapping[str, Iterable[Partition]]) -> bytes:
    """Return the body that asks what ``groups`` have committed of those partitions."""
    asked = [_text(group) + _list(_topics(partitions)) + NO_TAGS for group, partitions in groups.items()]
    return _list(asked) + b"\0" + NO_TAGS  # what an open transaction commits is not waited for


def offsets(read: Reader) -> list[GroupOffsets]:
    """Return what groups have committed."""
    read.number(INT)
    return read.each(_group)


def _topics(partitions: Iterable[Partition]) -> list[bytes]:
    by_topic: dict[str, list[bytes]] = {}
    for topic, number in partitions:
        by_topic.setdefault(topic, []).append(INT.pack(number))
    return [_text(topic) + _list(numbers) + NO_TAGS for topic, numbers in by_topic.items()]


def _coordinator(read: Reader) -> Coordinator:
    group = read.text() or ""
    read.number(INT)  # the broker's number
    host, port = read.text() or "", read.number(INT)
    error, message = read.number(SHORT), read.text()
    read.tags()
    return Coordinator(group, (host, port), error, message)


def _group(read: Reader) -> GroupOffsets:
    group = read.text() or ""
    topics = read.each(_topic)
    error = read.number(SHORT)
    read.tags()
    return GroupOffsets(group, tuple(one for topic in topics for one in topic), error)


def _topic(read: Reader) -> list[Offset]:
    topic = read.text() or ""
    found = read.each(lambda part: _offset(part, topic))
    read.tags()
    return found


def _offset(read: Reader, topic: str) -> Offset:
    number, offset, _ = read.numbers(OFFSET)
    metadata, error = read.text(), read.number(SHORT)
    read.tags()
    # Clients in C commit a text with the zero that ends it.
    return Offset((topic, number), offset, (metadata or "").partition("\0")[0], error)


def _list(items: list[bytes]) -> bytes:
    return _length(len(items) + 1) + b"".join(items)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _length(len(encoded) + 1) + encoded


def _length(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
