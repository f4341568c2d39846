"""Workers are given more records than they handle; what one does to itself concerns what it has begun, no other."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace.config import Python
from headrace.flow.policy import NOT_BEGUN, Failed
from headrace.handlers import isolated
from headrace.handlers.isolated import IsolatedHandler
from headrace.record import Record
from tests import lines
from tests.waiting import PATIENCE

CODE = """
import ctypes, os, time
from pathlib import Path

FOLDER = Path(__file__).parent

def handle(record):
    with open(FOLDER / "begun", "a") as file:
        file.write(f"{record.key.decode()} {len(record.value)} {os.getpid()}\\n")
    what = record.key.decode().partition("-")[0]
    if what == "exit": os._exit(7)
    if what == "kill": os.kill(os.getpid(), 9)
    if what == "segfault": ctypes.string_at(0)
    if what == "memory": bytearray(1 << 30)
    if what == "hang": time.sleep(3600)
    while what == "wait" and not (FOLDER / "open").exists(): time.sleep(0.01)
"""


class World:
    """A handler that takes records ahead, as its function is known to be quick, and what that has begun."""

    def __init__(self, handler: IsolatedHandler, folder: Path, observed: list[float]) -> None:
        self.handler = handler
        self.observed = observed
        self._folder = folder

    def ask(self, key: str, size: int = 2) -> asyncio.Task[Failed | None]:
        """Have one record handled, or given back."""
        record = Record(topic="orders", partition=0, offset=4, key=key.encode(), value=b"x" * size)
        return asyncio.create_task(self.handler.handle(record))

    def ask_all(self, keys: Iterable[str]) -> list[asyncio.Task[Failed | None]]:
        """Have several handled, in one turn of the loop."""
        return [self.ask(key) for key in keys]

    async def handle(self, key: str) -> Failed | None:
        """Have one record handled, by asking again when it is given back."""
        while (failed := await self.ask(key)) is NOT_BEGUN:
            pass
        return failed

    def begun(self) -> list[list[str]]:
        """Return key, size and process of each call."""
        return [line.split() for line in lines.written(self._folder / "begun")]

    def counted(self) -> Counter[str]:
        """Return how often each key was begun."""
        return Counter(key for key, _, _ in self.begun())

    async def until_begun(self, key: str) -> None:
        """Wait until a record is."""
        async with asyncio.timeout(PATIENCE):
            while not self.counted()[key]:  # noqa: ASYNC110 - a file tells it
                await asyncio.sleep(0.01)

    def open(self) -> None:
        """Let those that wait go on."""
        (self._folder / "open").touch()


@asynccontextmanager
async def world(folder: Path, concurrency: int = 1, limit: float = PATIENCE) -> AsyncIterator[World]:
    """Run workers with the code above."""
    (folder / "ahead_code.py").write_text(CODE)
    settings = Python(function="ahead_code:handle", path=str(folder), timeout=limit, memory=256 << 20)
    observed: list[float] = []
    handler = IsolatedHandler(settings, concurrency=concurrency, observe=observed.append)
    try:
        await handler.start()
        made = World(handler, folder, observed)
        assert await made.handle("first") is None
        yield made
    finally:
        await handler.close()


@pytest.fixture(autouse=True)
def _as_on_a_machine_without_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take as many ahead however slow the machine is, and give none back because it is."""
    monkeypatch.setattr(isolated, "SPAN", 1e9)
    monkeypatch.setattr(isolated, "BEGIN", PATIENCE)
    monkeypatch.setattr(isolated, "SLOW", PATIENCE)


@pytest.mark.parametrize("what", ["exit", "kill", "segfault", "memory", "hang"])
async def test_what_waits_behind_a_record_that_ends_its_worker_is_given_back(tmp_path: Path, what: str) -> None:
    """What was finished before it is finished, though nobody has read its answer; it alone has failed."""
    before, behind = [f"before-{n}" for n in range(20)], [f"behind-{n}" for n in range(20)]
    async with world(tmp_path, limit=10 if what == "hang" else PATIENCE) as one:
        outcomes = await asyncio.gather(*one.ask_all([*before, what, *behind]))
        assert outcomes[:20] == [None] * 20
        failed = outcomes[20]
        assert failed is not None
        assert (failed.crashed, failed.timed_out) == (what in ("exit", "kill", "segfault"), what == "hang")
        assert all(outcome is NOT_BEGUN for outcome in outcomes[21:])
        assert one.counted() == Counter(["first", *before, what])
        assert [await one.handle(key) for key in behind] == [None] * 20
        assert one.counted() == Counter(["first", *before, what, *behind])
        assert len(one.observed) == 42, "each attempt, and nothing that was given back"


async def test_a_record_that_takes_longer_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was given besides is handled by the other worker, meanwhile."""
    others = [f"other-{n}" for n in range(30)]
    monkeypatch.setattr(isolated, "SLOW", 0.05)
    async with world(tmp_path, concurrency=2) as one:
        slow = one.ask("wait")
        assert await asyncio.gather(*map(one.handle, others)) == [None] * 30
        assert not slow.done()
        one.open()
        assert await slow is None
        assert one.counted() == Counter(["first", "wait", *others])


async def test_what_is_withdrawn_never_begins(tmp_path: Path) -> None:
    """As where its partition is given away while a record before it runs on."""
    async with world(tmp_path) as one:
        slow, *behind = one.ask_all(["wait", *(f"behind-{n}" for n in range(10))])
        await one.until_begun("wait")
        one.handler.withdraw()
        assert all(outcome is NOT_BEGUN for outcome in await asyncio.gather(*behind))
        assert not slow.done()
        one.open()
        assert await slow is None
        assert await one.handle("next") is None
        assert one.counted() == Counter(["first", "wait", "next"])


async def test_a_worker_that_stood_still_begins_nothing_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod that is frozen and wakes up may have lost its partitions: whoever asked decides anew."""
    async with world(tmp_path) as one:
        worker = int(one.begun()[0][2])
        os.kill(worker, signal.SIGSTOP)
        monkeypatch.setattr(isolated, "BEGIN", 0.2)
        asked = one.ask_all(["late", "later"])
        await asyncio.sleep(1)
        os.kill(worker, signal.SIGCONT)
        assert all(outcome is NOT_BEGUN for outcome in await asyncio.gather(*asked))
        monkeypatch.setattr(isolated, "BEGIN", PATIENCE)
        assert await one.handle("next") is None
        assert one.counted() == Counter(["first", "next"])
        assert [int(pid) for *_, pid in one.begun()] == [worker, worker]


async def test_an_attempt_that_is_cancelled_is_ended_and_what_waits_behind_it_given_back(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        worker = int(one.begun()[0][2])
        slow, *behind = one.ask_all(["wait", "behind-1", "behind-2"])
        await one.until_begun("wait")
        behind[0].cancel()
        slow.cancel()
        said = await asyncio.gather(slow, *behind, return_exceptions=True)
        assert isinstance(said[0], asyncio.CancelledError)
        assert isinstance(said[1], asyncio.CancelledError)
        assert said[2] is NOT_BEGUN
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
        assert await one.handle("next") is None
        assert one.counted() == Counter(["first", "wait", "next"])


async def test_large_values_pass_among_small_ones(tmp_path: Path) -> None:
    """Larger than a channel holds, and also what was withdrawn before it was read."""
    sizes = [10, 3_000_000, 0, 5_000_000, 20]
    async with world(tmp_path) as one:
        slow, *behind = [one.ask("wait"), *(one.ask(f"back-{size}", size) for size in sizes)]
        await one.until_begun("wait")
        one.handler.withdraw()
        assert all(outcome is NOT_BEGUN for outcome in await asyncio.gather(*behind))
        one.open()
        assert await slow is None
        for size in sizes:
            while await one.ask(f"sized-{size}", size) is NOT_BEGUN:
                pass
        assert [int(size) for key, size, _ in one.begun() if key.startswith("sized")] == sizes
        assert not [key for key, *_ in one.begun() if key.startswith("back")]
