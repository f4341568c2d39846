"""A protected Kafka Connect is told the login only once it has shown that it is the one: over real TLS, on loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from headrace_operator.clients.connect import Connect
from headrace_operator.clients.errors import Invalid, Unauthorized, Unreachable
from headrace_operator.plan import names
from tests.cluster import authority
from tests.operator.entering import HOST, URL, certify, enter, entering
from tests.operator.loops import Loopback
from tests.waiting import PATIENCE

pytestmark = pytest.mark.case("clusters-18")

LOGIN = {"username": "operator", "password": "s3cret"}
ELSEWHERE = names.connect_domain("shop", "other")
ROOT = {"version": "4.3.1", "commit": "c", "kafka_cluster_id": "k"}


@dataclass
class Heard:
    """What came in over a connection, at a port."""

    port: int = 0
    logins: list[str | None] = field(default_factory=list)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return certificates: ours and others of our authority, and ours of another authority below ``stranger``."""
    folder = tmp_path_factory.mktemp("pki")
    certify(folder)
    certify(folder / "stranger")
    named = authority.Certificate(file="elsewhere", user="other", serves=(ELSEWHERE, f"*.{ELSEWHERE}"))
    authority.sign(folder, named)
    authority.sign(folder, authority.Certificate(file="expired", user="connect", serves=(HOST,), days=-1))
    return folder


@asynccontextmanager
async def serving(pair: Path | None, away: web.HTTPException | None = None) -> AsyncIterator[Heard]:
    """Answer as Kafka Connect, or send all ``away``, with this certificate; without TLS where there is none."""
    heard = Heard()

    async def own(request: web.Request) -> web.StreamResponse:
        heard.logins.append(request.headers.get("Authorization"))
        if away:
            raise away
        return web.json_response(ROOT if request.path == "/" else [] if "plugins" in request.path else {})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if pair else None
    if context is not None and pair is not None:
        context.load_cert_chain(pair.with_suffix(".crt"), pair.with_suffix(".key"))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", own)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    heard.port = int(runner.addresses[0][1])
    try:
        yield heard
    finally:
        await runner.cleanup()


def loopback(port: int) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(resolver=Loopback(port))


def secrets(folder: Path, login: Mapping[str, str] = LOGIN) -> dict[str, Mapping[str, str]]:
    return {"tls": {"ca.crt": (folder / "ca.crt").read_text()}, "login": login}


async def test_the_one_that_was_meant_is_told_the_login(pki: Path) -> None:
    """Also where the Secret has words beside its certificate, of any language."""
    given = secrets(pki)
    given["tls"] = {"ca.crt": f"# Autorité de certification\n{given['tls']['ca.crt']}"}
    async with serving(pki / "tls") as heard, entering(heard.port, given) as connect:
        assert (await connect.workers(URL)).version == "4.3.1"

    assert set(heard.logins) == {aiohttp.encode_basic_auth("operator", "s3cret")}


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        ("stranger/tls", "self-signed certificate|unable to get local issuer|signature failure"),
        ("elsewhere", f"not valid for '{HOST}'"),
        ("expired", "certificate has expired"),
    ],
)
async def test_who_has_another_certificate_hears_nothing(pki: Path, certificate: str, why: str) -> None:
    async with serving(pki / certificate) as heard, entering(heard.port, secrets(pki)) as connect:
        with pytest.raises(Unauthorized, match=f"certificate of Kafka Connect is not trusted .*({why})"):
            await connect.workers(URL)

    assert heard.logins == []


async def test_an_open_connection_is_no_way_past_a_changed_authority(pki: Path) -> None:
    async with serving(pki / "tls") as heard, entering(heard.port, secrets(pki)) as connect:
        await connect.workers(URL)
        before = len(heard.logins)
        await enter(connect, secrets(pki / "stranger"))
        with pytest.raises(Unauthorized):
            await connect.workers(URL)
        assert len(heard.logins) == before
        await enter(connect, secrets(pki))
        assert await connect.workers(URL)


@pytest.fixture
def trusted_by_the_system(pki: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system trust our authority, as a company's image may."""
    monkeypatch.setenv("SSL_CERT_FILE", str(pki / "ca.crt"))


@pytest.mark.usefixtures("trusted_by_the_system")
@pytest.mark.parametrize("text", ["", "\n", "   ", "no certificate"])
async def test_an_authority_that_is_none_trusts_nobody(pki: Path, text: str) -> None:
    """Whom the system trusts is nobody's here."""
    async with serving(pki / "tls") as heard:
        with pytest.raises(Invalid, match=r"ca\.crt of Secret tls is no certificate in PEM"):
            async with entering(heard.port, {"tls": {"ca.crt": text}, "login": LOGIN}) as connect:
                await connect.workers(URL)

    assert heard.logins == []


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ({"username": "operator"}, "has no key password"),
        ({**LOGIN, "username": "a:b"}, "has a colon"),
        ({}, "has no key"),
    ],
)
async def test_without_a_whole_login_nothing_is_asked(pki: Path, login: dict[str, str], told: str) -> None:
    async with serving(pki / "tls") as heard:
        with pytest.raises(Invalid, match=told):
            async with entering(heard.port, secrets(pki, login)) as connect:
                await connect.workers(URL)

    assert heard.logins == []


async def test_a_login_follows_no_redirect(pki: Path) -> None:
    """Not even to the same workers, where every name is here."""
    away = web.HTTPTemporaryRedirect(f"{URL}/elsewhere")
    async with serving(pki / "tls", away) as heard, entering(heard.port, secrets(pki)) as connect:
        with pytest.raises(Unreachable, match=r"answered 307.*not followed"):
            await connect.workers(URL)

    assert len(heard.logins) == 1


async def test_what_is_asked_without_tls_is_told_no_login(pki: Path) -> None:
    """As once `rest` was taken away, and of a worker's page of metrics."""
    async with serving(None) as heard, aiohttp.ClientSession(connector=loopback(heard.port)) as session:
        connect = Connect(session, PATIENCE, kept=0, metrics_port=heard.port)
        await enter(connect, secrets(pki))
        assert await connect.workers(names.connect_url("shop", "main"))
        assert await connect.lag("127.0.0.1", "shop") is None

    assert len(heard.logins) == 4
    assert set(heard.logins) == {None}
