"""One connection to a broker: opened when something is asked, logged in, and opened anew after whatever broke it.

It is asked one thing at a time. It must not know what is asked. Raises KafkaException, by the codes of Kafka's client.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from headrace_operator.clients import kafka_login
from headrace_operator.clients.kafka_tokens import Tokens
from headrace_operator.clients.kafka_wire import (
    AUTHENTICATE,
    COORDINATORS,
    HANDSHAKE,
    INT,
    OFFSETS,
    SHORT,
    VERSIONS,
    Call,
    Reader,
    handshake,
    logged_in,
    token,
    versions,
)

LONGEST = 32 * 2**20
"""Bytes of an answer that is read."""

FAMILIES = {"v4": socket.AF_INET, "v6": socket.AF_INET6}

Address = tuple[str, int]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Answer = TypeVar("Answer")


class Outdated(Exception):
    """The broker cannot be asked about many groups at once: it is older than Kafka 3.0."""


class Link:
    """A connection to the broker at ``address``, by ``properties`` of librdkafka, or by ``tokens``."""

    def __init__(
        self, address: Address, properties: Mapping[str, str], tls: ssl.SSLContext | None, tokens: Tokens | None
    ) -> None:
        self._address, self._properties, self._tls, self._tokens = address, properties, tls, tokens
        self._lock = asyncio.Lock()
        self._numbers = itertools.count()
        self._streams: Streams | None = None
        self._has_ended = False

    async def ask(self, call: Call, body: bytes, read: Callable[[Reader], Answer]) -> Answer:
        """Return what ``read`` makes of the answer; raises `Outdated`, KafkaException, and what tokens raise.

        A connection that the broker has closed meanwhile, as it does with idle ones and at a login's end, is opened
        once more.
        """
        async with self._lock:
            if self._streams is not None:
                try:
                    return await self._once(call, body, read)
                except (OSError, EOFError):
                    self.close()
            try:
                return await self._once(call, body, read)
            except (OSError, EOFError, ValueError) as error:
                raise KafkaException(self._failure(error)) from error

    def end(self) -> None:
        """Let go of the connection for good: who waits for an answer gets none, and opens no other."""
        self._has_ended = True
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None

    async def _once(self, call: Call, body: bytes, read: Callable[[Reader], Answer]) -> Answer:
        """Ask on the open connection, or on a new one; whatever goes wrong ends it."""
        well = False
        try:
            if self._streams is None:
                self._streams = await self._connected()
                await self._greet()
            answer = await self._exchange(call, body, read)
            well = True
        finally:
            if not well:
                self.close()
        return answer

    async def _connected(self) -> Streams:
        host, port = self._address
        family = FAMILIES.get(self._properties.get("broker.address.family", ""), socket.AF_UNSPEC)
        streams = await asyncio.open_connection(host, port, ssl=self._tls, family=family)
        if self._has_ended:
            streams[1].transport.abort()
            raise ConnectionAbortedError("it was closed meanwhile")
        return streams

    async def _greet(self) -> None:
        known = await self._exchange(VERSIONS, b"", versions)
        if any(call.version not in known.get(call.key, ()) for call in (COORDINATORS, OFFSETS)):
            raise Outdated
        if self._properties.get("security.protocol", "").startswith("SASL"):
            await self._log_in(self._properties["sasl.mechanism"])

    async def _log_in(self, mechanism: str) -> None:
        login = await self._steps(mechanism)
        if error := await self._exchange(HANDSHAKE, handshake(mechanism), lambda said: said.number(SHORT)):
            raise KafkaException(KafkaError(error, f"{self}: the broker does not take {mechanism}"))
        said: bytes | None = next(login)
        while said is not None:
            error, message, answer = await self._exchange(AUTHENTICATE, token(said), logged_in)
            if error:
                raise KafkaException(KafkaError(error, f"{self}: {message or 'the login was refused'}"))
            said = _next(login, answer)

    async def _steps(self, mechanism: str) -> kafka_login.Steps:
        if self._tokens:
            return kafka_login.bearer((await self._tokens.ask()).text)
        return kafka_login.steps(mechanism, self._properties["sasl.username"], self._properties["sasl.password"])

    async def _exchange(self, call: Call, body: bytes, read: Callable[[Reader], Answer]) -> Answer:
        assert self._streams is not None
        reader, writer = self._streams
        number = next(self._numbers)
        writer.write(call.frame(number, body))
        await writer.drain()
        (length,) = INT.unpack(await reader.readexactly(INT.size))
        if not 0 < length <= LONGEST:
            raise ValueError(f"an answer of {length} bytes")
        return read(call.answer(number, await reader.readexactly(length)))

    def _failure(self, error: Exception) -> KafkaError:
        match error:
            case ssl.SSLError():
                return KafkaError(KafkaError._SSL, f"{self}: TLS failed: {error.reason or error}")
            case socket.gaierror():
                return KafkaError(KafkaError._RESOLVE, f"{self}: the name is not known: {error.strerror}")
            case ValueError():
                return KafkaError(KafkaError._BAD_MSG, f"{self}: {error}")
            case EOFError():
                return KafkaError(KafkaError._TRANSPORT, f"{self}: the broker closed the connection")
            case _:
                return KafkaError(KafkaError._TRANSPORT, f"{self}: no connection: {error}")

    def __str__(self) -> str:
        return "{}:{}".format(*self._address)


def _next(login: kafka_login.Steps, answer: bytes) -> bytes | None:
    """Return the next step of a login, None at its end."""
    try:
        return login.send(answer)
    except StopIteration:
        return None
