"""What the operator is told by a relay's pod, and by what is none; real pods answer in tests/runtime/relay."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headrace.outbox import Told
from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.relay import LONGEST, Relays
from tests.waiting import PATIENCE

HERE = "127.0.0.1"


async def told(answer: web.Response) -> Told:
    """Return what is read of a pod that answers so."""

    async def standing(_: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_get("/standing", standing)
    async with TestServer(app, host=HERE) as server, aiohttp.ClientSession() as session:
        return await Relays(session, server.port or 0, PATIENCE).told(HERE)


async def test_what_a_pod_tells_is_read() -> None:
    text = '{"rows": "rows wait for 1 topics", "pending": 3, "failed": 0, "oldest": 1.5}'

    assert await told(web.Response(text=text)) == Told(rows="rows wait for 1 topics", pending=3, failed=0, oldest=1.5)


@pytest.mark.parametrize(
    "text", ["", "<html>s3cret</html>", '{"pending": "s3cret"}', '{"s3cret": 1}', '{"oldest": NaN}']
)
async def test_what_is_no_answer_is_told_and_not_quoted(text: str) -> None:
    with pytest.raises(Unreachable, match="none of a relay of this release") as refused:
        await told(web.Response(text=text))

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("status", [302, 404, 500, 503])
async def test_another_status_is_no_answer(status: int) -> None:
    with pytest.raises(Unreachable, match=f"answered {status}"):
        await told(web.Response(status=status, headers={"Location": "http://elsewhere"}))


async def test_an_answer_without_end_is_not_read() -> None:
    with pytest.raises(Unreachable, match="longer than 1 MiB"):
        await told(web.Response(body=b" " * (LONGEST + 1)))


@pytest.mark.parametrize("ip", [HERE, "::1"])
async def test_nobody_there_is_told(ip: str) -> None:
    """By an address of either kind."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Unreachable, match="the relay's pod did not answer"):
            await Relays(session, port=1).told(ip)
