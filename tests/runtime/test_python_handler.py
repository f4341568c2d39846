"""The user's Python function: found, called, timed, and said clearly when it is broken."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import pytest

from headrace import config
from headrace.handlers.python import Broken, PythonHandler, load
from headrace.policy import Failed
from headrace.record import Record
from tests.waiting import PATIENCE

RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b'{"n": 1}')

CODE = """
import asyncio, threading, time
import headrace

def ok(record):
    assert record.json() == {"n": 1}

async def async_ok(record):
    await asyncio.sleep(0)

def raises(record):
    raise KeyError("x")

def rejects(record):
    raise headrace.Reject("never")

async def retries(record):
    raise headrace.Retry("later", after=3)

def exits(record):
    raise SystemExit(3)

async def hangs(record):
    await asyncio.Event().wait()

def slow(record):
    time.sleep(0.2)

def counts(record):
    return 5

def returns_a_rejection(record):
    return headrace.Reject("never")

async def async_returns_a_retry(record):
    return headrace.Retry("later", after=3)

def returns_a_coroutine(record):
    return raises_later()

async def raises_later():
    raise KeyError("x")

def runs_dry(record):
    next(iter(()))

async def is_cancelled(record):
    raise asyncio.CancelledError

def interrupts(record):
    raise KeyboardInterrupt

class Mute(Exception):
    def __str__(self):
        raise ValueError

def says_nothing(record):
    raise Mute
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A module of a fresh name in a folder: its name and the folder."""
    name = f"handler_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name, str(tmp_path)


async def outcome(module: tuple[str, str], function: str, seconds: float = 5.0) -> Failed | None:
    settings = config.Python(function=f"{module[0]}:{function}", path=module[1], timeout=seconds)
    handler = PythonHandler(settings, concurrency=2)
    try:
        return await handler.handle(RECORD)
    finally:
        await handler.close()


@pytest.mark.parametrize("function", ["ok", "async_ok", "counts"])
async def test_returning_is_success(module: tuple[str, str], function: str) -> None:
    assert await outcome(module, function) is None


@pytest.mark.parametrize(
    ("function", "retriable", "message", "after"),
    [
        ("raises", True, "KeyError: 'x'", None),
        ("rejects", False, "never", None),
        ("retries", True, "later", 3),
        ("exits", True, "SystemExit: 3", None),
        ("returns_a_rejection", False, "never", None),
        ("async_returns_a_retry", True, "later", 3),
        ("returns_a_coroutine", True, "KeyError: 'x'", None),
        ("runs_dry", True, "StopIteration: ", None),
        ("is_cancelled", True, "CancelledError: ", None),
        ("interrupts", True, "KeyboardInterrupt: ", None),
        ("says_nothing", True, "Mute: it fails to say more", None),
    ],
)
async def test_exceptions(
    module: tuple[str, str], function: str, retriable: bool, message: str, after: float | None
) -> None:
    failed = await outcome(module, function)
    assert failed is not None
    assert (failed.retriable, failed.message, failed.after) == (retriable, message, after)


async def test_an_async_function_is_stopped_in_time(module: tuple[str, str]) -> None:
    failed = await asyncio.wait_for(outcome(module, "hangs", seconds=0.05), PATIENCE)
    assert failed is not None
    assert failed.timed_out


async def test_a_slow_plain_function_is_waited_for(module: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    assert await outcome(module, "slow", seconds=0.05) is None
    assert "its key waits" in caplog.text


@pytest.mark.parametrize(
    ("code", "function", "words"),
    [
        ("\n\nimport no_such_module", "handle", ["No module named 'no_such_module'", "{file}, line 3)"]),
        ("import json\njson.loads('no')", "handle", ["JSONDecodeError", "{file}, line 2)"]),
        ("\ndef handle(:", "handle", ["SyntaxError", "{file}, line 2)"]),
        (
            "def handle(): ...",
            "handle",
            ["one argument, the record", "too many positional arguments", "{file}, line 1)"],
        ),
        ("def handle(record, more): ...", "handle", ["missing a required argument: 'more'"]),
        ("async def handle(*, record): ...", "handle", ["one argument, the record"]),
        ("def handle(record): yield", "handle", ["yield", "{file}, line 1)"]),
        ("raise SystemExit(2)", "handle", ["SystemExit: 2"]),
        ("handle = 5", "handle", ["no function 'handle'"]),
        ("def other(record): ...", "handle", ["no function 'handle'"]),
    ],
)
def test_a_broken_module_says_what_failed(module: tuple[str, str], code: str, function: str, words: list[str]) -> None:
    name, folder = module
    (Path(folder) / f"{name}.py").write_text(code)
    with pytest.raises(Broken) as caught:
        load(config.Python(function=f"{name}:{function}", path=folder))
    said, file = str(caught.value), Path(folder) / f"{name}.py"
    assert [word for word in [name, folder, *words] if word.format(file=file) not in said] == [], said
    assert "\n" not in said


def test_a_missing_module_says_so() -> None:
    with pytest.raises(Broken, match="no_such_module_at_all"):
        load(config.Python(function="no_such_module_at_all:handle"))
