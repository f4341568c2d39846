"""No text that others read has the login or the query of an address: logs, letters, conditions, a pod's last words."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from aiohttp import web

from headrace import config
from headrace.discreet import discreet, secrets
from headrace.handlers import exceptions
from headrace.handlers.http import EXCERPT, HttpHandler
from headrace.logs import Logfmt
from headrace.record import Record
from headrace.worker import last_words
from headrace_operator.clients import errors
from headrace_operator.observed.kube import PodSeen
from tests.operator.clients.test_answers import serving
from tests.operator.plan.test_complaints import deployed

pytestmark = pytest.mark.case("clusters-17")

URL = "http://shop:s3cret-1@127.0.0.1:1/events?token=s3cret-2#s3cret-3"
RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b"{}")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"POST {URL}: refused", "POST http://127.0.0.1:1/events refused"),
        ("postgresql+psycopg://me:pw@db/shop?sslmode=no", "postgresql+psycopg://db/shop"),
        (
            "jdbc:postgresql://db/shop?user=me&password=pw, rediss://:pw@r:1/0",
            "jdbc:postgresql://db/shop rediss://r:1/0",
        ),
        ("POST http://web/a: [Errno 5] is it so? yes, a@b", "POST http://web/a: [Errno 5] is it so? yes, a@b"),
        ("[Errno 111] Connect call failed ('127.0.0.1', 9)", "[Errno 111] Connect call failed ('127.0.0.1', 9)"),
    ],
)
def test_addresses_are_told_without_what_is_secret_in_them(said: str, told: str) -> None:
    assert discreet(said) == told


def test_what_an_answer_might_repeat_is_known_as_written_and_decoded() -> None:
    assert secrets("http://me:p%40ssword@h/?a=b%20cde&x=1") == (
        "a=b%20cde&x=1",
        "a=b cde&x=1",
        "p%40ssword",
        "p@ssword",
        "b cde",
    )
    assert secrets("http://[nowhere/?a=secret") == ()


@pytest.mark.parametrize("before", [0, 40, EXCERPT - 12, EXCERPT - 1])
async def test_an_answer_that_repeats_the_query_is_told_without_it(before: int) -> None:
    """As frameworks do that say which address they do not know; also where the text is cut amid it."""

    async def answer(request: web.Request) -> web.Response:
        token = request.query["token"]
        return web.Response(status=400, text="x" * before + f"Cannot POST {request.path_qs}: {token} " + "y" * 500)

    async with serving(answer) as url:
        handler = HttpHandler(config.Http(url=f"{url}/events?token=s3cret-of-many"), namespace="shop")
        failed = await handler.handle(RECORD)
        await handler.close()

    assert failed is not None
    assert failed.message.startswith("HTTP 400: ")
    assert "s3cr" not in failed.message
    assert len(failed.message) > EXCERPT - 30


def test_an_exception_of_the_handler_is_told_without_them() -> None:
    """In its text and in the last line of its stack, and so are its causes."""
    try:
        try:
            raise ConnectionError(f"cannot reach {URL}")
        except ConnectionError as error:
            raise RuntimeError("postgresql://me:s3cret@db/shop: away") from error
    except RuntimeError as error:
        texts = (exceptions.line(error), exceptions.because(error), exceptions.traced(error).stack)

    assert "RuntimeError: postgresql://db/shop: away" in texts[0]
    assert "s3cret@" not in "".join(texts)
    assert "s3cret-2" not in "".join(texts)


def test_a_line_of_the_log_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor its traceback, nor what a container leaves behind."""
    monkeypatch.setattr(last_words, "TERMINATION_LOG", tmp_path / "log")
    (tmp_path / "log").touch()
    try:
        raise ValueError(f"no answer of {URL}")
    except ValueError as error:
        raised = (ValueError, error, error.__traceback__)
    line = Logfmt().format(logging.LogRecord("a", logging.ERROR, __file__, 1, "at %s", (URL,), raised))
    last_words.say(f"cannot begin: {URL}")

    for text in (line, (tmp_path / "log").read_text()):
        assert "http://127.0.0.1:1/events" in text
        assert "s3cret-2" not in text
        assert "shop:" not in text


def test_a_condition_has_none() -> None:
    """Whether it quotes a pod, as of an image that cannot be pulled, or a server that fails."""
    said = "failed to authorize: GET https://me:s3cret@auth.example/token?account=s3cret: 401"
    pod = PodSeen(name="a", phase="Pending", ready=False, restarts=0, waiting_reason="ImagePullBackOff", message=said)
    told = deployed("Consumer", ready=0, wanted=1, pods=[pod])[2]

    assert "GET https://auth.example/token" in told
    for text in (told, str(errors.Unreachable(said))):
        assert "s3cret" not in text
