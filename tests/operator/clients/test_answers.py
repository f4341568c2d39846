"""Answers over HTTP: redirects are not followed, and what is no answer of Connect is told as such."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio import client

from headrace_operator.clients import answers, errors
from headrace_operator.clients.api import SERVER, Api, path
from headrace_operator.clients.connect import CONNECT, Connect
from tests.waiting import PATIENCE


@asynccontextmanager
async def serving(handler: web.RequestHandler | object) -> AsyncIterator[str]:
    """Serve every path with ``handler`` and give the address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_redirect_carries_no_configuration_elsewhere() -> None:
    """The other address hears nothing, and the error says what to do."""
    heard: list[bytes] = []

    async def elsewhere(request: web.Request) -> web.Response:
        heard.append(await request.read())
        return web.json_response({})

    async with serving(elsewhere) as other, aiohttp.ClientSession() as session:

        async def away(_: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(other)

        async with serving(away) as url:
            with pytest.raises(errors.Unreachable, match=r"answered 307.*not followed"):
                await Connect(session, PATIENCE).put(url, "orders", {"database.hostname": "db"})

    assert heard == []


async def test_a_page_is_no_answer_of_connect() -> None:
    """A proxy that answers for Connect is told, and is not taken for a bug."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in</html>", content_type="text/html")

    async with serving(page) as url, aiohttp.ClientSession() as session:
        with pytest.raises(errors.Unreachable, match=r"not JSON.*Sign in"):
            await Connect(session, PATIENCE).workers(url)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, errors.Unreachable),
        (401, errors.Unauthorized),
        (403, errors.Unauthorized),
        (404, errors.Missing),
        (409, errors.Conflict),
        (422, errors.Invalid),
        (429, errors.Busy),
        (500, errors.Unreachable),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[errors.HeadraceError]) -> None:
    """What was asked, of whom, and what came back is in the sentence."""
    with pytest.raises(kind, match=f"GET /x: the Kubernetes API server answered {status}: no") as raised:
        answers.read("GET /x", SERVER, status, b'{"message": "no"}')

    assert type(raised.value) is kind


@pytest.mark.case("clusters-3")
def test_who_is_trusted_with_more_may_say_more() -> None:
    """As the API server is with a list of thousands of resources."""
    said = b"[" + b"0," * (answers.MOST + 1) + b"0]"
    assert len(answers.read("GET /", SERVER, 200, said)) == answers.MOST + 2


@pytest.mark.parametrize("said", [b"[" + b"0," * (answers.MOST + 1) + b"0]", b'{"lsn": NaN}', b'{"lsn": -Infinity}'])
def test_what_would_take_much_memory_or_no_status_could_hold_is_no_answer(said: bytes) -> None:
    with pytest.raises(errors.Unreachable, match="not JSON"):
        answers.read("GET /", CONNECT, 200, said)


def test_a_page_that_differs_each_time_is_told_alike() -> None:
    """A gateway's page has the time and the number of the request: each pass would write another status."""

    def told(number: int) -> str:
        page = f"<html>Bad gateway, request {number} of 2026-01-02T03:04:0{number}Z</html>".encode()
        with pytest.raises(errors.Unreachable) as failure:
            answers.read("GET /", CONNECT, 502, page)
        return str(failure.value)

    assert told(1) == told(2)
    assert "answered 502: <html>Bad gateway" in told(1)


@pytest.mark.parametrize("said", ["", "null", "[]", '"ok"'])
async def test_what_is_no_object_is_no_answer_of_an_api_server(said: str) -> None:
    """It ended the operator, whose Lease could not be read."""

    async def half(_: web.Request) -> web.Response:
        return web.Response(text=said, content_type="application/json")

    async with serving(half) as url:
        configuration = client.Configuration()
        configuration.host = url
        api = Api(configuration)
        try:
            with pytest.raises(errors.Unreachable, match="without an object"):
                await api.get(path("coordination.k8s.io/v1", "Lease", "shop", "headrace-operator"))
        finally:
            await api.close()


@pytest.mark.case("clusters-3")
@pytest.mark.parametrize(("packed", "said"), [(False, "is longer than 1 MiB"), (True, "is packed")])
async def test_an_api_server_that_answers_without_end_is_not_heard_out(
    monkeypatch: pytest.MonkeyPatch, packed: bool, said: str
) -> None:
    """What stands between may answer anything: its answer is closed, and what it packs is not unpacked."""
    closed, part = asyncio.Event(), gzip.compress(b" " * 2**24) if packed else b" " * 2**16

    async def flood(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Encoding": "gzip"} if packed else {})
        await answer.prepare(request)
        try:
            while True:
                await answer.write(part)
        finally:
            closed.set()

    monkeypatch.setattr("headrace_operator.clients.api.LONGEST", 2**20)
    async with serving(flood) as url:
        configuration = client.Configuration()
        configuration.host = url
        api = Api(configuration)
        try:
            with pytest.raises(errors.Unreachable, match=said):
                await api.get(path("v1", "Pod", "shop"))
            await closed.wait()
        finally:
            await api.close()
