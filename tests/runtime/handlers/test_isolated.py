"""A function in a worker process answers as it does in a thread, and whatever it does to the process stays there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.config import Python
from headrace.flow.policy import NOT_BEGUN, Failed
from headrace.handlers import Broken, isolated, processes
from headrace.handlers.isolated import IsolatedHandler
from headrace.record import Record
from tests.waiting import PATIENCE, until

CODE = """
import asyncio, ctypes, os, re, subprocess, sys, time
from datetime import timedelta
import headrace

class Odd(Exception):
    def __init__(self):
        super().__init__("odd", lambda: None)
    def __reduce__(self):
        raise RuntimeError("no")

class Final(OSError): ...

def deep(record):
    raise RuntimeError("deep down")

@headrace.handler(final=Final)
def handle(record):
    what = record.key.decode()
    if what == "headers": assert record.header("a") == b"\\xff", record.headers
    if what == "reject": raise headrace.Reject("not wanted")
    if what == "retry": raise headrace.Retry("later", after=timedelta(seconds=30))
    if what == "final": raise Final("for good")
    if what == "deep": deep(record)
    if what == "huge": raise RuntimeError("x" * 5_000_000)
    if what == "text": raise RuntimeError("caf\\udce9")
    if what == "odd": raise Odd
    if what == "exit": os._exit(7)
    if what == "leave": sys.exit(8)
    if what == "segfault": ctypes.string_at(0)
    if what == "memory": bytearray(1 << 30)
    if what == "leak": leaked = [bytearray(1 << 20) for _ in range(1 << 12)]
    if what == "spin": re.match("(a+)+$", "a" * 64 + "b")
    if what == "hang": time.sleep(3600)
    if what == "child": subprocess.Popen(["sleep", "3600"]); time.sleep(3600)
    if what == "closed": os.closerange(3, 100); time.sleep(3600)
    if what == "late": os.closerange(3, 100); time.sleep(1); os._exit(7)
    if what == "loop": asyncio.run(asyncio.sleep(0))
    if what == "fork" and os.fork() == 0: raise RuntimeError("the fork goes on as if it were the worker")
    if what == "slow": time.sleep(1); raise headrace.Reject("not wanted")

async def later(record):
    await asyncio.sleep(3600 if record.key == b"hang" else 0)
    if record.key == b"deep": deep(record)
"""

Call = Callable[[str], Coroutine[Any, Any, Failed | None]]


@asynccontextmanager
async def handling(
    folder: Path, name: str = "handle", code: str = CODE, limit: float = PATIENCE
) -> AsyncIterator[Call]:
    """Run workers with the code above, or other code, and give what calls the function with a key."""
    (folder / "isolated_code.py").write_text(code)
    settings = Python(function=f"isolated_code:{name}", path=str(folder), timeout=limit, memory=256 << 20)
    handler = IsolatedHandler(settings, concurrency=2)

    async def call(key: str) -> Failed | None:
        headers = (("a", b"\xff"), ("n", None))
        record = Record(topic="orders", partition=0, offset=4, key=key.encode(), value=b"{}", headers=headers)
        while (failed := await handler.handle(replace(record, attempt=2))) is NOT_BEGUN:
            pass
        return failed

    try:
        await handler.start()
        yield call
    finally:
        await handler.close()


async def failure(call: Call, key: str) -> Failed:
    """Return how it fails; then the next record goes well."""
    failed = await call(key)
    assert failed is not None, key
    assert await in_time(call, "headers") is None
    return failed


async def in_time(call: Call, key: str) -> Failed | None:
    """Return the outcome of a call, made again where a busy machine lets it run out of its time."""
    while (failed := await call(key)) is not None and failed.timed_out:
        pass
    return failed


async def test_what_a_function_raises_means_what_it_does_in_a_thread(tmp_path: Path) -> None:
    async with handling(tmp_path) as call:
        reject, retry, final = [await failure(call, key) for key in ("reject", "retry", "final")]
        deep, huge, text, odd = [await failure(call, key) for key in ("deep", "huge", "text", "odd")]
        left = await failure(call, "leave")
    assert (reject.message, reject.retriable, reject.exception) == ("not wanted", False, "headrace.record.Reject")
    assert (retry.message, retry.retriable, retry.after) == ("later", True, 30.0)
    assert (final.message, final.retriable) == ("Final: for good", False)
    assert deep.retriable
    assert deep.traced is not None
    assert deep.traced.location == f"{tmp_path}/isolated_code.py, line 15"
    assert "in handle" in deep.traced.stack
    assert "isolated.py" not in deep.traced.stack
    assert 1000 < len(huge.message) < 5000
    assert text.message == "RuntimeError: caf?"
    assert odd.exception == "isolated_code.Odd"
    assert (left.exception, left.crashed) == ("builtins.SystemExit", False)


async def test_an_async_function_ends_by_its_time_out_and_its_process_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "GRACE", PATIENCE)
    async with handling(tmp_path, "later", limit=3) as call:
        assert await in_time(call, "quick") is None
        hang = await call("hang")
        deep = await in_time(call, "deep")
    assert hang is not None
    assert hang.timed_out
    assert hang.traced is not None
    assert "isolated_code.py" in hang.traced.location, "it was cancelled there, and not killed"
    assert deep is not None
    assert deep.message == "RuntimeError: deep down"


@pytest.mark.parametrize(
    ("key", "how"),
    [
        ("exit", "ended with 7"),
        ("late", "ended with 7"),
        ("segfault", "ended with 139 (SIGSEGV)"),
        ("closed", "closed its channel"),
    ],
)
async def test_a_worker_that_ends_fails_its_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, how: str
) -> None:
    if key not in ("closed", "late"):
        monkeypatch.setattr(processes, "END", PATIENCE)
    async with handling(tmp_path) as call:
        failed = await failure(call, key)
    assert failed.crashed
    assert failed.retriable
    assert failed.internal, "it says nothing of a target"
    assert how in failed.message


@pytest.mark.parametrize("key", ["memory", "leak"])
async def test_a_worker_has_memory_of_its_own(tmp_path: Path, key: str) -> None:
    """It gets no more, says so, and goes: what it holds is free again."""
    async with handling(tmp_path) as call:
        failed = await failure(call, key)
    assert failed.exception == "builtins.MemoryError"


@pytest.mark.parametrize(("key", "unanswered"), [("hang", True), ("spin", False)])
async def test_past_the_time_out_a_worker_is_ended(
    tmp_path: Path, key: str, unanswered: bool, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What computes is no sign of a target that is away; where it was is in the log, interpreter held or not."""
    monkeypatch.setattr(processes, "END", PATIENCE)
    async with handling(tmp_path, limit=3) as call:
        began = time.monotonic()
        failed = await failure(call, key)
        assert time.monotonic() - began < PATIENCE
    assert (failed.timed_out, failed.unanswered, failed.crashed) == (True, unanswered, False)
    assert "isolated_code.py" in capfd.readouterr().err


async def test_what_a_function_has_started_ends_with_its_process(tmp_path: Path) -> None:
    async with handling(tmp_path, limit=2) as call:
        failed = await failure(call, "child")
    assert failed.timed_out
    until("the end of what it has started", lambda: not started())


def started() -> list[Path]:
    """Return the processes that this test's function has started, and that run."""
    own = f"PYTEST_CURRENT_TEST={os.environ['PYTEST_CURRENT_TEST']}".encode()
    running = [Path("/proc", pid) for pid in os.listdir("/proc") if pid.isdigit()]
    return [one for one in running if told(one / "cmdline") == b"sleep\x003600\x00" and own in told(one / "environ")]


def told(file: Path) -> bytes:
    """Return what the kernel tells of a process; nothing once it has ended."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_that_name", "cannot import module 'isolated_code'"),
        ("import os; os._exit(9)", "ended with 9 while it imported isolated_code:handle"),
        ("held = bytearray(1 << 30)", "MemoryError"),
        ("def handle(): ...", "cannot be called with one argument"),
    ],
)
async def test_what_cannot_be_loaded_is_told_at_the_start(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(Broken, match=said):
        async with handling(tmp_path, code=code):
            pass
    assert "isolated_code" not in sys.modules, "the code runs in workers alone"


async def test_a_worker_loads_nothing_but_what_it_needs(tmp_path: Path) -> None:
    """There are as many of them as records in flight; what the function needs it loads itself."""
    code = f"import sys\nopen('{tmp_path}/loaded', 'w').write(' '.join(sys.modules))\ndef handle(record): ..."
    async with handling(tmp_path, code=code) as call:
        assert await call("any") is None

    loaded = set((tmp_path / "loaded").read_text().split())
    assert "headrace.handlers.python" in loaded
    assert loaded & {"pydantic", "headrace.config", "aiohttp", "confluent_kafka", "prometheus_client"} == set()


async def test_a_plain_function_may_run_a_loop_of_its_own(tmp_path: Path) -> None:
    async with handling(tmp_path) as call:
        assert await call("loop") is None
        assert await call("loop") is None


async def test_a_fork_that_comes_back_answers_for_nobody(tmp_path: Path) -> None:
    """Else its answer would be taken for that of the next record."""
    async with handling(tmp_path) as call:
        assert await call("fork") is None
        failed = await call("slow")

    assert failed is not None
    assert failed.message == "not wanted"


async def test_a_process_that_cannot_be_started_says_nothing_of_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    async with handling(tmp_path) as call:
        with monkeypatch.context() as patched:
            patched.setattr("asyncio.create_subprocess_exec", refused)
            await call("exit")
            failed = await call("ok")
        assert failed is not None
        assert failed.unanswered
        assert not failed.internal
        assert await call("ok") is None
