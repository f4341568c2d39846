"""What groups have committed: of all groups of a Kafka by one client, in one request to each of their coordinators.

It speaks the protocol itself (`kafka_wire`): a client of librdkafka for each group takes 0.7 MiB and 4 threads, and its
admin client ends the process where a group has moved to another broker (librdkafka, issue 5040; seen with 2.16).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from confluent_kafka import KafkaError, KafkaException

from headrace_operator.clients import kafka_login
from headrace_operator.clients.kafka_committed import committed
from headrace_operator.clients.kafka_link import Address, Link, Outdated
from headrace_operator.clients.kafka_tokens import Tokens
from headrace_operator.clients.kafka_wire import (
    COORDINATORS,
    OFFSETS,
    Coordinator,
    GroupOffsets,
    coordinators,
    coordinators_of,
    offsets,
    offsets_of,
)
from headrace_operator.observed.kafka import Committed, Partition

AT_ONCE = 2_000
"""Partitions of one request: what is told of each takes up to 4 KiB."""

KNOWN = 300.0
"""Seconds after which it is asked anew who looks after a group."""

MOVED = {
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError._TRANSPORT, KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
}  # fmt: skip
"""Errors after which another broker may look after a group."""

Asked = Mapping[str, Iterable[Partition]]
Told = Mapping[Partition, Committed] | Exception


class Offsets:
    """Questions to one Kafka, by ``properties`` of librdkafka and ``tokens``; ``now`` is a monotonic clock in seconds.

    Raises ``ValueError`` for properties that are wrong.
    """

    def __init__(
        self, properties: Mapping[str, str], tokens: Tokens | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._properties, self._tokens, self._now = properties, tokens, now
        self._is_able = kafka_login.understands(properties)
        self._tls = kafka_login.context(properties) if self._is_able else None
        self._servers = [_address(one) for one in properties["bootstrap.servers"].split(",") if one.strip()]
        self._links: dict[Address, Link] = {}
        self._places: dict[str, Address] = {}
        self._is_closed = False
        self._since = now()

    async def read(self, asked: Asked, seconds: float) -> dict[str, Told]:
        """Return what each group has committed, or its failure; partitions without a commit are left out.

        Raises `Outdated` where many groups cannot be asked about at once.
        """
        if not self._is_able:
            raise Outdated
        if self._now() - self._since > KNOWN:
            self._places, self._since = {}, self._now()
        end = asyncio.get_running_loop().time() + seconds
        found = await self._look(asked, end)
        moved = {group: asked[group] for group, told in found.items() if _code(told) in MOVED}
        for group in moved:
            self._places.pop(group, None)
        return found | (await self._look(moved, end) if moved else {})

    def close(self) -> None:
        """Let go of all connections."""
        self._is_closed = True
        for link in self._links.values():
            link.end()

    async def _look(self, asked: Asked, end: float) -> dict[str, Told]:
        found: dict[str, Told] = dict(await self._find([one for one in asked if one not in self._places], end))
        parts: dict[Address, dict[str, Iterable[Partition]]] = {}
        for group in asked.keys() - found.keys():
            parts.setdefault(self._places[group], {})[group] = asked[group]
        for told in await asyncio.gather(*(self._of(at, part, end) for at, part in parts.items())):
            found |= told
        return found

    async def _find(self, groups: list[str], end: float) -> Mapping[str, Exception]:
        """Learn who looks after ``groups``; return those of which nobody knows, and why."""
        if not groups:
            return {}
        try:
            told = await self._anyone(groups, end)
        except KafkaException as error:
            return dict.fromkeys(groups, error)
        self._places |= {one.group: one.address for one in told if not one.error}
        wrong = {one.group: KafkaException(KafkaError(one.error, one.message or None)) for one in told if one.error}
        return {one: wrong.get(one, _missing(one)) for one in groups if one not in self._places}

    async def _anyone(self, groups: list[str], end: float) -> list[Coordinator]:
        """Ask the servers in turn until one answers, which is the first next time; each has a share of the time."""
        failure = _late(self._servers[0])
        share = (end - asyncio.get_running_loop().time()) / len(self._servers)
        for address in tuple(self._servers):
            try:
                async with asyncio.timeout(share):
                    told = await self._link(address).ask(COORDINATORS, coordinators_of(groups), coordinators)
            except (KafkaException, TimeoutError) as error:
                failure = error if isinstance(error, KafkaException) else _late(address)
            else:
                self._servers.sort(key=lambda one: one != address)
                return told
        raise failure

    async def _of(self, address: Address, asked: Asked, end: float) -> dict[str, Told]:
        found: dict[str, Told] = {}
        for part in _parts(asked):
            try:
                async with asyncio.timeout_at(end):
                    told = await self._link(address).ask(OFFSETS, offsets_of(part), offsets)
            except KafkaException as error:
                found |= dict.fromkeys(part, error)
            except TimeoutError:
                found |= dict.fromkeys(part, _late(address))
            else:
                answers = {one.group: _told(one) for one in told}
                found |= {group: answers.get(group, _missing(group)) for group in part}
        return found

    def _link(self, address: Address) -> Link:
        link = self._links.setdefault(address, Link(address, self._properties, self._tls, self._tokens))
        if self._is_closed:
            link.end()
        return link


def _parts(asked: Asked) -> list[dict[str, Iterable[Partition]]]:
    """Return groups in parts of about `AT_ONCE` partitions."""
    parts: list[dict[str, Iterable[Partition]]] = [{}]
    size = 0
    for group, partitions in sorted(asked.items()):
        wanted = tuple(partitions)
        if parts[-1] and size + len(wanted) > AT_ONCE:
            parts.append({})
            size = 0
        parts[-1][group] = wanted
        size += len(wanted)
    return parts


def _told(one: GroupOffsets) -> Told:
    error = one.error or next((part.error for part in one.offsets if part.error), 0)
    if error:
        failure: Exception = KafkaException(KafkaError(error))
        return failure
    return {part.at: committed(part.offset, part.metadata) for part in one.offsets if part.offset >= 0}


def _code(told: Told) -> int | None:
    return int(told.args[0].code()) if isinstance(told, KafkaException) else None


def _late(address: Address) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, "{}:{}: no answer in time".format(*address)))


def _missing(group: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._BAD_MSG, f"the answer says nothing of {group}"))


def _address(server: str) -> Address:
    """Return host and port of a bootstrap server, which may have a protocol before it."""
    parts = urlsplit(f"//{server.strip().rpartition('://')[2]}")
    return parts.hostname or "", parts.port or 9092
