"""Where an exception came from: the user's lines, the last ones first to stay, and the causes."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

from headrace import config
from headrace.flow.policy import Failed
from headrace.handlers.python import PythonHandler
from headrace.record import Record

pytestmark = pytest.mark.case("delivery-21")

CODE = """
import asyncio
import headrace

def missing(record):
    return record.json()["amount"]

async def missing_later(record):
    await asyncio.sleep(0)
    return missing(record)

def rejects(record):
    try:
        missing(record)
    except KeyError as error:
        raise headrace.Reject("no amount") from error

def retries(record):
    try:
        missing(record)
    except KeyError:
        raise headrace.Retry("not yet")

def hides(record):
    try:
        missing(record)
    except KeyError:
        raise headrace.Reject("no amount") from None

async def gathers(record):
    async with asyncio.TaskGroup() as group:
        group.create_task(missing_later(record))

def deep(record, depth=500):
    return missing(record) if depth == 0 else deep(record, depth - 1)

async def slow(record):
    await asyncio.sleep(60)

@headrace.handler(retriable=KeyError)
async def declared(record):
    missing(record)

@headrace.handler(final=RuntimeError)
def strict(record):
    raise RuntimeError("closed")

class Service:
    @headrace.handler(retriable=KeyError)
    def __call__(self, record):
        missing(record)

service = Service()
"""


class Handler:
    """The code above, in a module of a fresh name."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / f"handler_{uuid.uuid4().hex[:8]}.py"
        self.file.write_text(CODE)

    async def failed(self, function: str, value: bytes) -> Failed:
        name = f"{self.file.stem}:{function}"
        settings = config.Python(function=name, path=str(self.file.parent), timeout=0.05 if function == "slow" else 60)
        handler = PythonHandler(settings, concurrency=1)
        try:
            found = await handler.handle(Record(topic="orders", partition=0, offset=1, key=b"k", value=value))
        finally:
            await handler.close()
        assert found is not None
        return found


@pytest.fixture
def handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Handler:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Handler(tmp_path)


@pytest.mark.parametrize(
    ("function", "value", "retriable", "said", "line"),
    [
        ("missing", b"{}", False, ("KeyError: 'amount'", None), 6),
        ("missing_later", b"{}", False, ("KeyError: 'amount'", None), 6),
        ("missing", b"{", False, ("JSONDecodeError: Expecting property name", None), 6),
        ("missing", b"\xff", False, ("UnicodeDecodeError: 'utf-8' codec can't decode", None), 6),
        ("missing", b"[]", False, ("TypeError: list indices", None), 6),
        ("missing", None, False, ("TypeError: 'NoneType' object is not subscriptable", None), 6),
        ("rejects", b"{}", False, ("no amount (from KeyError: 'amount')", "builtins.KeyError"), 16),
        ("retries", b"{}", True, ("not yet (from KeyError: 'amount')", "builtins.KeyError"), 22),
        ("hides", b"{}", False, ("no amount", None), 28),
        ("gathers", b"{}", False, ("(from KeyError: 'amount')", "builtins.KeyError"), 31),
        ("slow", b"{}", True, ("timed out", None), 38),
        ("declared", b"{}", True, ("KeyError: 'amount'", None), 6),
        ("service", b"{}", True, ("KeyError: 'amount'", None), 6),
        ("strict", b"{}", False, ("RuntimeError: closed", None), 46),
    ],
)
async def test_a_failure_tells_text_cause_file_and_line(
    handler: Handler, function: str, value: bytes, retriable: bool, said: tuple[str, str | None], line: int
) -> None:
    found = await handler.failed(function, value)
    assert found.retriable is retriable
    assert said[0] in found.message
    assert found.traced is not None
    assert (found.traced.location, found.traced.cause) == (f"{handler.file}, line {line}", said[1])


@pytest.mark.parametrize("function", ["rejects", "gathers"])
async def test_the_stack_has_the_lines_of_the_users_code_and_of_the_cause_and_none_of_ours(
    handler: Handler, function: str
) -> None:
    found = await handler.failed(function, b"{}")
    assert found.traced is not None
    stack = found.traced.stack
    line = f'  File "{handler.file}", line 6, in missing\n    return record.json()["amount"]\n'
    assert f"{line}KeyError: 'amount'" in stack
    assert "headrace/handlers" not in stack
    assert stack.endswith(found.message.partition(" (from")[0])


async def test_of_a_deep_stack_the_last_frames_stay(handler: Handler) -> None:
    found = await handler.failed("deep", b"{")
    assert found.traced is not None
    assert "json/decoder.py" in found.traced.stack
    assert f'  File "{handler.file}", line 6, in missing' in found.traced.stack
    assert len(found.traced.stack) < 4096
