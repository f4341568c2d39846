"""A Kafka Connect that others run, asked over real HTTP and TLS: where it is, in its own words, by each one's login."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from headrace_operator.api.external import External
from headrace_operator.clients.connect import Connect
from headrace_operator.clients.connect_entrances import Entrances
from headrace_operator.clients.errors import Invalid, Unauthorized, Unreachable
from headrace_operator.reconcile.remote import opened
from tests.cluster import authority
from tests.fakes.connect import CLASS
from tests.operator.entering import Secrets, Shelf

ANSWERS: dict[str, Any] = {
    "": {"version": "4.3.1", "commit": "c", "kafka_cluster_id": "k"},
    "connector-plugins": [],
    "status": {"connector": {"state": "RUNNING"}, "tasks": []},
    "validate": {"configs": []},
    "offsets": {"offsets": []},
}
"""What a Kafka Connect answers, by the last part of the path."""

READS = ("config", "status", "offsets", "topics")
NAME = "external://main.shop"
SECRET = "${secrets:shop/shop-db:password}"
THEIRS = "${directory:/opt/secrets/shop-db:password}"
LOGIN = {"username": "operator", "password": "s3cret"}
AUTH: dict[str, Any] = {"auth": {"credentials": {"secret": "login"}}}


@dataclass
class Outside:
    """A Kafka Connect at ``url``, what it was sent, and by whose login."""

    url: str = ""
    sent: list[tuple[str, Any]] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)
    status: int = 200
    config: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    cookies: list[str | None] = field(default_factory=list)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority, a server's certificate, and a client's."""
    folder = tmp_path_factory.mktemp("pki")
    server = authority.Certificate(file="server", user="connect", serves=("127.0.0.1",))
    authority.issue(folder, [server, authority.Certificate(file="client", user="headrace", serves=())])
    return folder


@asynccontextmanager
async def serving(pki: Path | None = None, *, mutual: bool = False) -> AsyncIterator[Outside]:
    """Answer as one below ``/rest``, over TLS where there are certificates, and perhaps to known clients alone."""
    outside = Outside()

    async def answer(request: web.Request) -> web.StreamResponse:
        outside.logins.append(request.headers.get("Authorization"))
        outside.cookies.append(request.headers.get("Cookie"))
        outside.paths.append(request.raw_path)
        if request.can_read_body:
            outside.sent.append((request.path, await request.json()))
        if outside.status != 200:
            raise web.HTTPUnauthorized
        answers = {**ANSWERS, "config": outside.config, **outside.told}
        told = answers.get(request.path.removeprefix("/rest").rpartition("/")[2], {})
        return web.json_response(told, headers={"Set-Cookie": "session=s3cret; Path=/"})

    context = None
    if pki is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.crt") if mutual else None)
        context.load_cert_chain(pki / "server.crt", pki / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    outside.url = f"http{'s' if pki else ''}://127.0.0.1:{runner.addresses[0][1]}/rest"
    try:
        yield outside
    finally:
        await runner.cleanup()


async def enter(connect: Connect, outside: Outside, secrets: Secrets, name: str = NAME, **more: Any) -> None:
    spec = External.model_validate(
        {"url": outside.url, "secretReference": "${directory:/opt/secrets/{name}:{key}}"} | more
    )
    connect.enter(name, await Entrances(Shelf(secrets)).outside(name, name.rpartition(".")[2], spec))


@asynccontextmanager
async def asking() -> AsyncIterator[Connect]:
    async with aiohttp.ClientSession() as session:
        yield Connect(session, kept=0)


def authorities(pki: Path, **more: Any) -> dict[str, Any]:
    return {"tls": {"ca": {"secret": "authority", "key": "ca"}, **more}}


def secrets(pki: Path) -> dict[str, dict[str, str]]:
    pair = {"tls.crt": (pki / "client.crt").read_text(), "tls.key": (pki / "client.key").read_text()}
    return {"authority": {"ca": (pki / "ca.crt").read_text()}, "client": pair, "login": LOGIN}


async def test_it_is_asked_where_it_is_below_its_path() -> None:
    async with serving() as outside, asking() as connect:
        await enter(connect, outside, {})
        assert (await connect.workers(NAME)).version == "4.3.1"


async def test_nobody_is_asked_before_it_is_known_where_it_is() -> None:
    async with asking() as connect:
        with pytest.raises(Unreachable, match="external://main"):
            await connect.workers(NAME)


async def test_it_is_told_of_secrets_in_its_own_words_and_understood_in_ours() -> None:
    config = {"connector.class": CLASS, "database.password": SECRET, "x": "${routedByValue}"}
    async with serving() as outside, asking() as connect:
        await enter(connect, outside, {})
        await connect.put(NAME, "shop.a", config)
        await connect.put(NAME, "shop.a", config, "PAUSED")
        await connect.validate(NAME, config)
        outside.config = {"database.password": THEIRS, "x": "${routedByValue}"}
        seen = await connect.connector(NAME, "shop.a")

    bodies = [body.get("config", body) for _, body in outside.sent]
    assert [one["database.password"] for one in bodies] == [THEIRS] * 3
    assert [one["x"] for one in bodies] == ["${routedByValue}"] * 3
    assert getattr(seen, "config", None) == {"database.password": SECRET, "x": "${routedByValue}"}


async def test_without_such_words_it_is_told_of_no_secret() -> None:
    async with serving() as outside, asking() as connect:
        await enter(connect, outside, {}, secretReference=None)
        with pytest.raises(Invalid, match=r"set external\.secretReference"):
            await connect.put(NAME, "shop.a", {"database.password": SECRET})

    assert outside.sent == []


async def test_one_kafka_connect_is_entered_by_each_with_a_login_of_its_own(pki: Path) -> None:
    """Who names its address alone is not let in by the login of another namespace, nor told what that saw."""
    other = "external://main.elsewhere"
    async with serving(pki) as outside, asking() as connect:
        await enter(connect, outside, secrets(pki), **authorities(pki), **AUTH)
        await enter(connect, outside, secrets(pki), other, **authorities(pki))
        await connect.workers(NAME)
        known = len(outside.logins)
        await connect.workers(other)

    assert set(outside.logins[:known]) == {aiohttp.encode_basic_auth("operator", "s3cret")}
    assert set(outside.logins[known:]) == {None}


@pytest.mark.case("clusters-21")
async def test_no_session_of_one_namespace_is_another_ones() -> None:
    """What is before a Kafka Connect may let in by a cookie whoever logged in once."""
    async with serving() as outside, AsyncExitStack() as stack:
        outside.url = outside.url.replace("127.0.0.1", "localhost")  # to addresses no client sends cookies anyway
        nobody: Any = None
        connect = (await opened(nobody, nobody, stack)).connect
        for name in (NAME, "external://main.elsewhere"):
            await enter(connect, outside, {}, name)
            await connect.workers(name)

    assert len(outside.cookies) == 6
    assert set(outside.cookies) == {None}


@pytest.mark.case("clusters-19")
@pytest.mark.parametrize("host", ["connect..example.com", "c" * 64, ".."])
async def test_a_host_that_cannot_be_one_does_not_answer(host: str) -> None:
    """It is told as such, where a pass that ends as a bug would tell nothing."""
    async with asking() as connect:
        await enter(connect, Outside(url=f"http://{host}:8083"), {})
        with pytest.raises(Unreachable, match="did not answer"):
            await connect.workers(NAME)


@pytest.mark.case("clusters-23")
@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("", {"version": "4" * 501, "kafka_cluster_id": "k"}),
        ("", {"version": "4.3.1", "kafka_cluster_id": "k" * 501}),
        ("connector-plugins", [{"class": "c" * 501, "version": "1", "type": "source"}]),
        ("connector-plugins", [{"class": "c", "version": "1" * 501, "type": "source"}]),
    ],
)
async def test_what_no_status_can_hold_is_no_answer(part: str, told: Any) -> None:
    async with serving() as outside, asking() as connect:
        outside.told[part] = told
        await enter(connect, outside, {})
        with pytest.raises(Unreachable, match="501 characters where 250 were expected at most"):
            await connect.workers(NAME)


@pytest.mark.case("clusters-24")
@pytest.mark.parametrize("odd", [{"headrace.namespace.uid": 5}, {"publication.name": ["x"]}, {"x": {}}])
async def test_a_connector_that_is_configured_by_no_text_is_left_out(odd: dict[str, Any]) -> None:
    """Its ConnectCluster's pass goes on; a property without a value is none."""
    told = {"odd": odd, "x": {"y": None, "z": "1"}}
    async with serving() as outside, asking() as connect:
        outside.told["connectors"] = {
            name: {"info": {"config": config}, "status": ANSWERS["status"]} for name, config in told.items()
        }
        await enter(connect, outside, {})
        seen = (await connect.workers(NAME)).connectors
        outside.told["config"] = odd
        with pytest.raises(Unreachable, match="where text was expected"):
            await connect.connector(NAME, "odd")

    assert {name: one.config for name, one in seen.items()} == {"x": {"z": "1"}}


async def test_a_connector_whose_name_no_status_can_hold_is_left_out() -> None:
    one = {"info": {"config": {}}, "status": ANSWERS["status"]}
    async with serving() as outside, asking() as connect:
        outside.told["connectors"] = {"x" * 501: one, "x": one}
        await enter(connect, outside, {})
        assert list((await connect.workers(NAME)).connectors) == ["x"]


@pytest.mark.case("clusters-20")
@pytest.mark.parametrize("name", ["shop.x/../../../admin", "shop.x?y#z"])
async def test_a_name_that_it_tells_leads_nowhere_else(name: str) -> None:
    async with serving() as outside, asking() as connect:
        await enter(connect, outside, {})
        await connect.connector(NAME, name)
        await connect.remove(NAME, name)

    at = f"/rest/connectors/{quote(name, safe='')}"
    assert {path for path in outside.paths if path != at} == {f"{at}/{what}" for what in READS}
    assert outside.paths[-1] == at


async def test_it_is_shown_a_client_certificate(pki: Path) -> None:
    shown = {"certificate": {"secret": "client"}}
    async with serving(pki, mutual=True) as outside, asking() as connect:
        await enter(connect, outside, secrets(pki), **authorities(pki, **shown))
        assert await connect.workers(NAME)
        await enter(connect, outside, secrets(pki), **authorities(pki))
        with pytest.raises(Unreachable):
            await connect.workers(NAME)


@pytest.mark.parametrize("pair", [{"tls.crt": "x", "tls.key": "s3cret"}, {"tls.crt": "", "tls.key": ""}])
async def test_a_client_certificate_that_is_none_is_told_by_its_secret(pki: Path, pair: dict[str, str]) -> None:
    async with serving(pki) as outside, asking() as connect:
        given = {**secrets(pki), "client": pair}
        with pytest.raises(Invalid, match="Secret client has no certificate with its private key") as refused:
            await enter(connect, outside, given, **authorities(pki, certificate={"secret": "client"}))

    assert "s3cret" not in str(refused.value)


async def test_who_it_is_not_hears_no_login(pki: Path) -> None:
    """Without an authority of its own, whom the system trusts is trusted."""
    async with serving(pki) as outside, asking() as connect:
        await enter(connect, outside, secrets(pki), **AUTH)
        with pytest.raises(Unauthorized, match=r"https://127\.0\.0\.1:\d+/rest/: .* external\.tls\.ca must be"):
            await connect.workers(NAME)

    assert outside.logins == []


async def test_a_login_that_it_refuses_is_told_by_its_field(pki: Path) -> None:
    async with serving(pki) as outside, asking() as connect:
        outside.status = 401
        await enter(connect, outside, secrets(pki), **authorities(pki), **AUTH)
        with pytest.raises(Unauthorized, match=r"the Secret of external\.auth must hold") as refused:
            await connect.workers(NAME)

    assert LOGIN["password"] not in str(refused.value)
