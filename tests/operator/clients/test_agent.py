"""What the operator is told by a source agent, and by what is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from headrace_operator.clients import agent
from headrace_operator.clients.agent import Agents
from headrace_operator.clients.errors import HeadraceError, Unreachable
from headrace_operator.observed.value import Absent
from tests.fakes.agent import FakeAgent, fake_agent, source
from tests.waiting import PATIENCE


@pytest.fixture
async def fake() -> AsyncIterator[FakeAgent]:
    async with fake_agent(source()) as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def test_one_answer_serves_all_connectors(fake: FakeAgent, session: aiohttp.ClientSession) -> None:
    agents = Agents(session, PATIENCE)
    found = await asyncio.gather(*(agents.source(fake.url, name) for name in ("orders-db", "other", "orders-db")))

    assert found == [source(), Absent(), source()]
    assert fake.asked == ["/sources"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"version": 1, "declaration": "x", "sources": [{"name": "s3cret"}]}', "none of a source agent"),
        (b'{"version": 2, "declaration": "x", "sources": []}', "none of a source agent"),
        (b"<html>s3cret</html>", "none of a source agent"),
        (b"", "none of a source agent"),
    ],
)
async def test_what_is_no_answer_is_told_and_not_quoted(
    fake: FakeAgent, session: aiohttp.ClientSession, body: bytes, words: str
) -> None:
    fake.body = body
    with pytest.raises(Unreachable, match=words) as told:
        await Agents(session, PATIENCE).source(fake.url, "orders-db")

    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("status", [204, 302, 404, 500, 503])
async def test_another_status_is_no_answer(fake: FakeAgent, session: aiohttp.ClientSession, status: int) -> None:
    fake.status = status
    with pytest.raises(HeadraceError, match=f"answered {status}"):
        await Agents(session, PATIENCE).source(fake.url, "orders-db")


async def test_an_answer_without_end_is_not_read(
    fake: FakeAgent, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "LONGEST", 2**20)
    fake.body = b" " * 2**21
    with pytest.raises(Unreachable, match="longer than 1 MiB"):
        await Agents(session, PATIENCE).source(fake.url, "orders-db")


async def test_nobody_there_is_told_within_the_deadline(session: aiohttp.ClientSession) -> None:
    with pytest.raises(Unreachable, match="the source agent did not answer"):
        await Agents(session).source("http://127.0.0.1:1", "orders-db")
