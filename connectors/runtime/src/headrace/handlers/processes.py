"""One worker process, and the channels to it, as its parent sees them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from headrace import config
from headrace.flow.policy import Failed
from headrace.handlers.wire import ANSWER, FRAME, LOADED, TICKET, TOO_LATE, Told, packed
from headrace.record import Record

GRACE = 0.5
"""Seconds in which an ``async`` function's time-out should end it by itself."""

END = 3.0
"""Seconds in which a process ends that has closed its channel, or was told to: a busy machine takes some for that."""

LARGEST = 1 << 20
"""Bytes of an answer beyond which it is none of ours."""

CHUNK = 1 << 14
"""Bytes that are read at once, and beyond which a worker is given no more before it has taken those."""

MODULE = "headrace.handlers.worker"


class Ended(Exception):
    """A worker ended, or answered nonsense and was ended; the text says how."""


class Answer(NamedTuple):
    """What a worker says of the record it was given as number ``number``; None is that it did not begin it."""

    number: int
    seconds: float
    text: bytes | None


class Call:
    """A record that is to be handled, begun by ``until`` if at all, and what its handling gave."""

    __slots__ = ("number", "outcome", "record", "until")

    def __init__(self, record: Record, until: float, outcome: asyncio.Future[Failed | None]) -> None:
        self.record = record
        self.until = until
        self.outcome = outcome
        self.number = 0

    def answer(self, failed: Failed | None) -> None:
        """Say what it gave, unless nobody waits for it any more."""
        if not self.outcome.done():
            self.outcome.set_result(failed)


class Worker:
    """A process, and the calls it was given and has not answered: of these it may have begun the first, no other.

    ``begun`` says since when, in monotonic seconds. ``is_slow`` if that takes longer than was expected.
    """

    def __init__(self, process: Process, channel: socket.socket, tickets: socket.socket, taken: socket.socket) -> None:
        self._process = process
        self._channel, self._tickets, self._taken = channel, tickets, taken
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.create_task(process.wait())
        self._received, self._unsent = bytearray(), bytearray()
        self._frames: list[bytes] = []
        self._begins: list[bytes] = []
        self._weight = 0
        self._number = LOADED
        self._look: Callable[[], object] = lambda: None
        self._listens = False
        self.calls: deque[Call] = deque()
        self.begun = 0.0
        self.is_sound = True
        self.is_slow = self.is_closed = False

    @classmethod
    async def start(cls, settings: config.Python) -> Self:
        """Start a process of its own session: what is sent to our group, such as Ctrl-C, does not reach it."""
        ours, theirs = socket.socketpair()
        tickets, taken = socket.socketpair()
        given = theirs.fileno(), taken.fileno()
        told = json.dumps(Told(settings.function, settings.path, settings.timeout, settings.memory))
        words = [sys.executable, "-P", "-m", MODULE, *map(str, given), str(os.getpid()), told]
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *words, stdin=DEVNULL, pass_fds=given, start_new_session=True
                )
        except OSError:
            for one in (ours, tickets, taken):
                one.close()
            raise
        ours.setblocking(False)
        return cls(process, ours, tickets, taken)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._end.done()

    @property
    def is_clogged(self) -> bool:
        """Whether it was given as much as it takes before it has read some of it, as where values are large."""
        return bool(self._unsent) or self._weight > CHUNK

    async def greeting(self, within: float) -> str:
        """Return what it says first: nothing is that it has loaded the function.

        Raises `Ended`, and ``TimeoutError`` when nothing comes ``within`` seconds.
        """
        came = asyncio.Event()
        self.tell(came.set)
        async with asyncio.timeout(within):
            while not (answers := self.receive()):
                if self.is_closed or self.has_ended or not self.is_sound:
                    raise Ended(await self.ended())
                await came.wait()
                came.clear()
        self.listen(wanted=False)
        return (answers[0].text or b"").decode(errors="replace")

    def tell(self, look: Callable[[], object]) -> None:
        """Have ``look`` called when there is something to receive, while that is listened to, and at the end."""
        self._look = look
        self._end.add_done_callback(lambda _: look())
        self.listen(wanted=False)
        self.listen(wanted=True)

    def listen_if_due(self) -> None:
        """Have what is to receive told at once where that is one answer; several are looked for, none is awaited."""
        if self.calls:
            self.listen(wanted=len(self.calls) == 1)

    def listen(self, *, wanted: bool) -> None:
        """Have what is to receive told at once, or no more."""
        if wanted == self._listens:
            return
        self._listens = wanted
        if wanted:
            self._loop.add_reader(self._channel, self._look)
        else:
            self._loop.remove_reader(self._channel)

    def give(self, call: Call) -> None:
        """Give it a call, which the next `flush` sends."""
        self._number = call.number = self._number + 1
        message = packed(call.record)
        self._frames += FRAME.pack(call.number, len(message)), message
        self._weight += len(message)
        self._begins.append(TICKET.pack(call.number, call.until))
        if not self.calls:
            self.begun = time.monotonic()
        self.calls.append(call)

    def flush(self) -> None:
        """Send what it was given; to a process that has ended in vain."""
        self._send(b"".join(self._frames))
        self._tickets.sendall(b"".join(self._begins))
        self._frames.clear()
        self._begins.clear()
        self._weight = 0
        self.listen_if_due()

    def take_back(self) -> list[Call]:
        """Return the calls that it has not begun, and now will not begin."""
        try:
            tickets = self._taken.recv(TICKET.size * max(1, len(self.calls)), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        calls = [self.calls.pop() for _ in range(len(tickets) // TICKET.size)]
        return calls[::-1]

    def receive(self) -> list[Answer]:
        """Return what it has answered by now; not ``is_sound`` if that became nonsense, ``is_closed`` at the end."""
        with suppress(BlockingIOError):
            while len(chunk := self._read()) == CHUNK:
                pass
            self.is_closed = not chunk
        return list(self._answers())

    def _read(self) -> bytes:
        try:
            chunk = self._channel.recv(CHUNK)
        except ConnectionError:
            return b""
        self._received += chunk
        return chunk

    def _answers(self) -> Iterator[Answer]:
        received = self._received
        while len(received) >= ANSWER.size:
            number, seconds, size = ANSWER.unpack_from(received)
            has_begun = size != TOO_LATE
            end = ANSWER.size + size * has_begun
            if end > LARGEST:
                self.is_sound = False
            if not self.is_sound or len(received) < end:
                return
            yield Answer(number, seconds, bytes(received[ANSWER.size : end]) if has_begun else None)
            del received[:end]

    def _send(self, message: bytes) -> None:
        """Send what it takes at once, and the rest when it has read that."""
        sent = 0
        if not self._unsent:
            with suppress(BlockingIOError, ConnectionError):
                sent = self._channel.send(message)
        if sent < len(message):
            self._unsent += message[sent:]
            self._loop.add_writer(self._channel, self._send_rest)

    def _send_rest(self) -> None:
        try:
            del self._unsent[: self._channel.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if not self._unsent:
            self._loop.remove_writer(self._channel)

    async def ended(self) -> str:
        """Return how the process ended; one that has only lost its channel has a moment to, and is ended."""
        if not self.is_sound:
            await self.kill()
            return "answered nonsense"
        await asyncio.wait((self._end,), timeout=END)
        lives = not self.has_ended
        await self.kill()
        return "has closed its channel" if lives else f"ended with {_status(self._end.result())}"

    @property
    def computes(self) -> bool:
        """Whether its main thread computes, or would if it had a processor, and does not wait for anything."""
        try:
            return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
        except OSError:
            return False

    async def abort(self) -> None:
        """End the process, which first writes into the log where it is, also amid a call that holds the interpreter."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGABRT)
        await asyncio.wait((self._end,), timeout=END)
        await self.kill()

    async def kill(self) -> None:
        """End the process and what it has started, and wait until it is gone; what it answered can be received."""
        self.listen(wanted=False)
        self._loop.remove_writer(self._channel)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._end

    def close(self) -> None:
        """Let go of the channels of a process that is gone."""
        for one in (self._channel, self._tickets, self._taken):
            one.close()


def _status(code: int) -> str:
    """Say an exit status as Kubernetes does: 128 and the signal, if it was one."""
    if code >= 0:
        return str(code)
    try:
        return f"{128 - code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"{128 - code} (signal {-code})"
