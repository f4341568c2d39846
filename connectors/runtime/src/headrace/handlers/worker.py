"""A worker process of `headrace.handlers.isolated`: it loads the function, then answers one record after another.

It ends with its parent, however that ends. Its memory is limited by ``RLIMIT_DATA``: an allocation beyond is refused at
once, as a ``MemoryError`` that the record fails with, before the container as a whole has too much. Watching what is
resident would come too late for one large allocation, and ``RLIMIT_AS`` counts addresses that libraries only reserve.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import inspect
import json
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict

from headrace import config, logs
from headrace.flow.policy import Failed
from headrace.handlers import Broken
from headrace.handlers.isolated import SIZE
from headrace.handlers.python import PythonHandler
from headrace.record import Record

PR_SET_PDEATHSIG = 1
"""``prctl(2)``: the signal that the kernel sends to a process when its parent has ended."""


class InPlace(PythonHandler):
    """Calls a plain function in the one thread there is: the parent process keeps its time-out."""

    def answer(self, record: Record, loop: asyncio.AbstractEventLoop) -> Failed | None:
        """Call the function once; a plain one outside of ``loop``, as it may run a loop of its own."""
        self._said = None if self._is_async else self._outcome(record)
        return loop.run_until_complete(self.handle(record))

    async def _call(self, record: Record) -> object:
        return await self._await(self._said) if inspect.isawaitable(self._said) else self._said


class Channel:
    """Messages to and from the parent; no process that the function starts has it."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._file = self._socket.makefile("rb")

    def receive(self) -> bytes | None:
        """Wait for a message; None at the end."""
        size = self._file.read(SIZE)
        return self._file.read(int.from_bytes(size)) if len(size) == SIZE else None

    def send(self, message: bytes) -> None:
        """Send a message, whole."""
        self._socket.sendall(len(message).to_bytes(SIZE) + message)


def main(arguments: Sequence[str]) -> int:
    """Answer until the parent closes the channel; returns the exit status."""
    descriptor, parent, settings = arguments
    _end_with(int(parent))
    logs.start()
    faulthandler.enable()
    channel = Channel(int(descriptor))
    asked = config.Python.model_validate_json(settings)
    _limit(asked.memory)
    try:
        handler = InPlace(asked, concurrency=1)
    except Broken as error:
        channel.send(str(error).encode(errors="replace"))
        return 1
    channel.send(b"")
    _serve(channel, handler)
    return 0


def _serve(channel: Channel, handler: InPlace) -> None:
    loop, own = asyncio.new_event_loop(), os.getpid()
    asyncio.set_event_loop(loop)
    while (message := channel.receive()) is not None:
        failed = handler.answer(pickle.loads(message), loop)
        if os.getpid() != own:
            os._exit(1)  # a fork of the function's that came back: the record is its parent's
        channel.send(_answer(failed))


def _answer(failed: Failed | None) -> bytes:
    """Return the answer as JSON; what is no text becomes question marks."""
    said = None if failed is None else asdict(failed)
    return json.dumps(said, ensure_ascii=False).encode(errors="replace")


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
