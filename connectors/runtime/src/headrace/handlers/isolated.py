"""Calls the user's Python function in worker processes, each of which has one record at a time.

Whatever a worker does concerns the record that it has: past the time-out it is killed, and one that ended is replaced
when the next record needs one. Others go on. Answers are JSON that is checked, never pickles: nothing that a function
does to its process reaches this one. It must not know Kafka.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from headrace import config
from headrace.flow.policy import Failed
from headrace.handlers import Broken
from headrace.record import Record

log = logging.getLogger(__name__)

START = 600.0
"""Seconds that a worker has to import the function's module."""

GRACE = 0.5
"""Seconds beyond the time-out in which an ``async`` function ends by itself, and a worker tells where it was."""

SIZE = 4
"""Bytes before each message that say how long it is, big-endian."""

LARGEST = 1 << 20
"""Bytes of an answer beyond which it is none of ours."""

ANSWER: TypeAdapter[Failed | None] = TypeAdapter(Failed | None)
MODULE = "headrace.handlers.worker"


class Ended(Exception):
    """A worker ended, or answered nonsense and was ended; the text says how."""


class Worker:
    """One process, and the channel to it."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._end = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, settings: config.Python) -> Self:
        """Start a process of its own session: what is sent to our group, such as Ctrl-C, does not reach it."""
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-P", "-m", MODULE, str(theirs.fileno()), str(os.getpid()), settings.model_dump_json()]
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *words, stdin=DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True
                )
        except OSError:
            ours.close()
            raise
        return cls(process, *await asyncio.open_connection(sock=ours))

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._end.done()

    def send(self, message: bytes) -> None:
        """Send a message; to a process that has ended it goes in vain, as `answer` says."""
        self._writer.write(len(message).to_bytes(SIZE) + message)

    async def answer(self, within: float) -> bytes:
        """Return the next message; raises `Ended`, and ``TimeoutError`` when none comes ``within`` seconds."""
        coming = asyncio.create_task(self._receive())
        try:
            await asyncio.wait((coming, self._end), timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                return coming.result()
            lives = not self.has_ended
        except (OSError, EOFError, ValueError):
            lives = False
        finally:
            coming.cancel()
        if lives:
            raise TimeoutError
        raise await self._told_end()

    async def _receive(self) -> bytes:
        size = int.from_bytes(await self._reader.readexactly(SIZE))
        if size > LARGEST:
            raise ValueError(f"an answer of {size} bytes")
        return await self._reader.readexactly(size)

    async def _told_end(self) -> Ended:
        """Return how the process ended; one that has only lost its channel has a moment to."""
        await asyncio.wait((self._end,), timeout=GRACE)
        lives = not self.has_ended
        await self.kill()
        return Ended("has closed its channel" if lives else f"ended with {_status(self._end.result())}")

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
        await asyncio.wait((self._end,), timeout=GRACE)
        await self.kill()

    async def kill(self) -> None:
        """End the process and what it has started, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._end
        self._writer.close()


class IsolatedHandler:
    """A handler that calls one function in processes of its own; as many as records run at once, started as needed."""

    def __init__(self, settings: config.Python) -> None:
        self._settings = settings
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()

    async def start(self) -> None:
        """Start the first worker; raises `Broken` when it cannot load the function."""
        self._idle.append(await self._fresh())

    async def handle(self, record: Record) -> Failed | None:
        """Call the function once with ``record``; None is success."""
        try:
            worker = await self._take()
        except (Broken, OSError) as error:
            return Failed(message=f"no worker process starts: {error}", exception="headrace.Broken", unanswered=True)
        try:
            return await self._asked(worker, record)
        finally:
            if worker in self._all and not worker.has_ended:
                self._idle.append(worker)

    async def close(self) -> None:
        """End all workers, with what still runs."""
        await asyncio.gather(*map(self._drop, list(self._all)))

    async def _asked(self, worker: Worker, record: Record) -> Failed | None:
        worker.send(pickle.dumps(record))
        try:
            failed = ANSWER.validate_json(await worker.answer(self._settings.timeout + GRACE))
        except TimeoutError:
            return await self._late(worker, record)
        except (Ended, ValueError) as error:
            return await self._crashed(worker, record, str(error) if isinstance(error, Ended) else "answered nonsense")
        except asyncio.CancelledError:
            await self._drop(worker)
            raise
        if failed is not None and failed.exception.endswith("MemoryError"):
            await self._drop(worker)
        return failed

    async def _late(self, worker: Worker, record: Record) -> Failed:
        """End a worker past its time-out. One that computes is no sign of a target that is away."""
        self._all.discard(worker)
        computes = worker.computes
        log.warning("the handler runs longer than %g s, its process is ended: %s", self._settings.timeout, _at(record))
        await worker.abort()
        doing = "computes" if computes else "waits"
        return Failed(
            message=f"{doing} after {self._settings.timeout:g} s: its process was ended, and the log says where it was",
            exception="builtins.TimeoutError",
            timed_out=True,
            unanswered=not computes,
            internal=computes,
        )

    async def _crashed(self, worker: Worker, record: Record, how: str) -> Failed:
        await self._drop(worker)
        log.error("a worker process %s while handling %s", how, _at(record))
        text = f"the worker process {how} while it handled this record"
        return Failed(message=text, exception="headrace.Crash", internal=True, crashed=True)

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if not worker.has_ended:
                return worker
            await self._drop(worker)
        return await self._fresh()

    async def _fresh(self) -> Worker:
        """Return a new worker that has loaded the function; raises `Broken`."""
        worker = await Worker.start(self._settings)
        self._all.add(worker)
        try:
            said = (await worker.answer(START)).decode(errors="replace")
        except Ended as error:
            said = f"the worker process {error} while it imported {self._settings.function}"
        except TimeoutError:
            said = f"{self._settings.function} is not imported after {START:.0f} s"
        if said:
            await self._drop(worker)
            raise Broken(said)
        return worker

    async def _drop(self, worker: Worker) -> None:
        self._all.discard(worker)
        await worker.kill()


def _at(record: Record) -> str:
    return "{}/{}@{}".format(*record.source)


def _status(code: int) -> str:
    """Say an exit status as Kubernetes does: 128 and the signal, if it was one."""
    if code >= 0:
        return str(code)
    try:
        return f"{128 - code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"{128 - code} (signal {-code})"
