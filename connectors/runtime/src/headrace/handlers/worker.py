"""A worker process of `headrace.handlers.isolated`: it loads the function, then answers one record after another.

It ends with its parent, however that ends. Its memory is limited by ``RLIMIT_DATA``: an allocation beyond is refused at
once, as a ``MemoryError`` that the record fails with, before the container as a whole has too much. Watching what is
resident would come too late for one large allocation, and ``RLIMIT_AS`` counts addresses that libraries only reserve.

There are many of them: what one loads for nothing is multiplied.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import inspect
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple

from headrace import logs
from headrace.flow.policy import Failed
from headrace.handlers import Broken, timers
from headrace.handlers.python import PythonHandler, judge
from headrace.handlers.wire import ANSWER, FRAME, LOADED, TICKET, TOO_LATE, Told, is_exhausted, unpacked
from headrace.record import Record

PR_SET_PDEATHSIG = 1
"""``prctl(2)``: the signal that the kernel sends to a process when its parent has ended."""


class InPlace(PythonHandler):
    """Calls a plain function in the one thread there is: the parent process keeps its time-out."""

    def answer(self, record: Record, loop: asyncio.AbstractEventLoop) -> Failed | None:
        """Call the function once; a plain one outside of ``loop``, as it may run a loop of its own."""
        said = None if self._is_async else self._outcome(record)
        if self._is_async or inspect.isawaitable(said):
            self._said = said
            return loop.run_until_complete(self.handle(record))
        return None if said is None else judge(said, self._declared)

    async def _call(self, record: Record) -> object:
        return await self._await(self._said)  # type: ignore[arg-type]


class Given(NamedTuple):
    """A record that may begin ``until`` then."""

    number: int
    until: float
    record: Record


class Channel:
    """Records, tickets and answers; no process that the function starts has them."""

    def __init__(self, records: int, tickets: int) -> None:
        self._socket, self._tickets = socket.socket(fileno=records), socket.socket(fileno=tickets)
        for one in (self._socket, self._tickets):
            one.set_inheritable(False)
        self._file = self._socket.makefile("rb")

    def receive(self) -> Iterator[Given]:
        """Wait for one record after another and begin it; what was taken back meanwhile is passed over."""
        while len(ticket := self._tickets.recv(TICKET.size)) == TICKET.size:
            wanted, until = TICKET.unpack(ticket)
            number = None
            while number != wanted:
                number, size = FRAME.unpack(self._file.read(FRAME.size))
                message = self._file.read(size)
            yield Given(wanted, until, unpacked(message))

    def send(self, number: int, seconds: float = 0.0, text: bytes = b"") -> None:
        """Answer, whole."""
        self._socket.sendall(ANSWER.pack(number, seconds, len(text)) + text)

    def refuse(self, number: int) -> None:
        """Say that a record was not begun."""
        self._socket.sendall(ANSWER.pack(number, 0.0, TOO_LATE))


def main(arguments: Sequence[str]) -> int:
    """Answer until the parent closes the channel; returns the exit status."""
    records, tickets, parent, told = arguments
    _end_with(int(parent))
    logs.start()
    faulthandler.enable()
    channel = Channel(int(records), int(tickets))
    settings = Told(*json.loads(told))
    _limit(settings.memory)
    try:
        handler = InPlace(settings, concurrency=1)
    except Broken as error:
        channel.send(LOADED, text=str(error).encode(errors="replace"))
        return 1
    channel.send(LOADED)
    _serve(channel, handler)
    return 0


def _serve(channel: Channel, handler: InPlace) -> None:
    """Answer all; after one that ran out of memory nothing more begins, as the parent ends this process for it."""
    loop, own = timers.loop(), os.getpid()
    asyncio.set_event_loop(loop)
    for given in channel.receive():
        began = time.monotonic()
        if began > given.until:
            channel.refuse(given.number)
            continue
        failed = handler.answer(given.record, loop)
        if os.getpid() != own:
            os._exit(1)  # a fork of the function's that came back: the record is its parent's
        channel.send(given.number, time.monotonic() - began, _answer(failed))
        if is_exhausted(failed):
            break


def _answer(failed: Failed | None) -> bytes:
    """Return the answer as JSON, nothing for success; what is no text becomes question marks."""
    return b"" if failed is None else json.dumps(asdict(failed), ensure_ascii=False).encode(errors="replace")


def _limit(memory: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _end_with(parent: int) -> None:
    """Have the kernel end this process when its parent has; it may have by now."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
