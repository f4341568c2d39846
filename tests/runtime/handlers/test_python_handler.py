"""The user's Python function: found, called, timed, and said clearly when it is broken."""

from __future__ import annotations

import asyncio
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from headrace import config
from headrace.flow.policy import Failed
from headrace.handlers import Broken
from headrace.handlers.python import PythonHandler, load
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

from datetime import timedelta

class Asks(headrace.Retry):
    @property
    def after(self):
        raise SystemExit(1)
    @after.setter
    def after(self, value):
        pass

class Numb(Exception):
    def __str__(self):
        return 5

class Fatal(Exception):
    def __str__(self):
        raise SystemExit(1)

class Forgetful(headrace.Retry):
    def __init__(self):
        pass

class Text(str):
    def __getitem__(self, at):
        raise KeyError
    def encode(self, *more):
        raise KeyError

class Odd(Exception):
    def __str__(self):
        return Text("odd")

class Meta(type):
    def __getattribute__(self, name):
        raise ValueError

class Nameless(Exception, metaclass=Meta):
    pass

class Liar:
    @property
    def __class__(self):
        raise SystemExit(1)

class Group(ExceptionGroup):
    pass

class Long(Exception):
    def __str__(self):
        return "x" * 100_000_000

HUGE = 10 ** 400
WHAT = {
    "asks": Asks("later"),
    "numb": Numb(),
    "fatal": Fatal(),
    "forgetful": Forgetful(),
    "odd": Odd(),
    "nameless": Nameless(),
    "group": Group("many", [ValueError(1), headrace.Reject("no")]),
    "base group": BaseExceptionGroup("many", [KeyboardInterrupt()]),
    "generator": GeneratorExit(),
    "iteration": StopAsyncIteration(),
    "long": Long(),
}

def raises_odd(record):
    raise WHAT[record.key.decode()]

async def async_raises_odd(record):
    raise WHAT[record.key.decode()]

def returns_odd(record):
    return WHAT[record.key.decode()]

def returns_a_liar(record):
    return Liar()

def retries_after(record):
    raise headrace.Retry("later", after=eval(record.key))

async def cancels_itself_and_rejects(record):
    asyncio.current_task().cancel()
    try:
        await asyncio.sleep(1)
    except asyncio.CancelledError:
        raise headrace.Reject("never")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A module of a fresh name in a folder: its name and the folder."""
    name = f"handler_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name, str(tmp_path)


async def outcome(
    module: tuple[str, str], function: str, seconds: float = PATIENCE, record: Record = RECORD
) -> Failed | None:
    settings = config.Python(function=f"{module[0]}:{function}", path=module[1], timeout=seconds)
    handler = PythonHandler(settings, concurrency=2)
    try:
        return await handler.handle(record)
    finally:
        await handler.close()


@pytest.mark.parametrize("function", ["ok", "async_ok", "counts"])
async def test_returning_is_success(module: tuple[str, str], function: str) -> None:
    assert await outcome(module, function) is None


@pytest.mark.parametrize(
    ("function", "retriable", "message", "after"),
    [
        ("raises", False, "KeyError: 'x'", None),
        ("rejects", False, "never", None),
        ("retries", True, "later", 3),
        ("exits", True, "SystemExit: 3", None),
        ("returns_a_rejection", False, "never", None),
        ("async_returns_a_retry", True, "later", 3),
        ("returns_a_coroutine", False, "KeyError: 'x'", None),
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


@pytest.mark.case("delivery-4")
@pytest.mark.parametrize(
    ("asked", "after"),
    [
        ("timedelta(seconds=30)", 30.0),
        ("timedelta(days=999999999)", 999999999 * 86400.0),
        ("3", 3.0),
        ("0", 0.0),
        ("0.5", 0.5),
        ("1e300", 1e300),
        ("None", None),
    ],
)
async def test_a_retry_may_ask_for_seconds_or_a_timedelta(
    module: tuple[str, str], asked: str, after: float | None
) -> None:
    failed = await outcome(module, "retries_after", record=replace(RECORD, key=asked.encode()))
    assert failed is not None
    assert (failed.message, failed.retriable, failed.after) == ("later", True, after)


@pytest.mark.case("delivery-4")
@pytest.mark.parametrize(
    "asked",
    ["'30'", "float('nan')", "float('inf')", "-1", "timedelta(-1)", "HUGE", "-HUGE", "True", "[]", "'x' * 10**8"],
)
async def test_a_retry_after_nonsense_is_this_records_failure(module: tuple[str, str], asked: str) -> None:
    failed = await outcome(module, "retries_after", record=replace(RECORD, key=asked.encode()))
    assert failed is not None
    assert (failed.retriable, failed.after) == (True, None)
    assert failed.message.startswith("later (Retry(after=")
    assert "is no length of time" in failed.message
    assert len(failed.message) < 1000


@pytest.mark.case("delivery-4")
@pytest.mark.parametrize("function", ["raises_odd", "async_raises_odd", "returns_odd"])
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("asks", "fails to say what it is"),
        ("numb", "it fails to say more"),
        ("fatal", "fails to say what it is"),
        ("forgetful", ""),
        ("odd", "odd"),
        ("nameless", ""),
        ("group", "many"),
        ("base group", "many"),
        ("generator", "GeneratorExit"),
        ("iteration", "StopAsyncIteration"),
        ("long", "Long: xxx"),
    ],
)
async def test_whatever_is_raised_or_returned_fails_its_own_attempt(
    module: tuple[str, str], function: str, what: str, words: str
) -> None:
    failed = await outcome(module, function, record=replace(RECORD, key=what.encode()))
    assert failed is not None
    assert failed.retriable or what in {"group", "nameless"}, "these are, or end in, a ValueError"
    assert words in failed.message
    assert type(failed.message) is str
    assert len(failed.message) < 3000


async def test_an_object_that_lies_about_itself_fails_its_own_attempt(module: tuple[str, str]) -> None:
    assert await outcome(module, "returns_a_liar") is not None


async def test_a_rejection_after_a_cancellation_of_its_own_is_a_rejection(module: tuple[str, str]) -> None:
    failed = await outcome(module, "cancels_itself_and_rejects")
    assert failed is not None
    assert (failed.message, failed.retriable) == ("never", False)


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
