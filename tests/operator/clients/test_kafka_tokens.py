"""Tokens that the operator gets: from providers that are slow, lie, never end, redirect, or are no web service."""

from __future__ import annotations

import asyncio
import base64
import json
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast

import pytest

from headrace_operator.clients import kafka_tokens
from headrace_operator.clients.errors import HeadraceError, Invalid, Unauthorized, Unreachable
from headrace_operator.clients.kafka import Kafka
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kafka_tokens import Client, Tokens, get
from headrace_operator.clients.kept import Kept
from tests import token_provider
from tests.cluster import authority
from tests.operator import worlds
from tests.operator.clients.sockets import Socket, listening
from tests.waiting import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SAID = "internal-answer"
"""What a provider says that nobody shall read elsewhere."""

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def whole(text: str, status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer over HTTP."""
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(text)}", *headers, "", text)
    return "\r\n".join(lines).encode()


def part(claims: Any) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def token(claims: Any) -> str:
    """Return what a provider answers."""
    return json.dumps({"access_token": f"{part({})}.{part(claims)}.c2ln"})


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a provider on a busy machine take its time."""
    monkeypatch.setattr(kafka_tokens, "DEADLINE", PATIENCE)


@asynccontextmanager
async def serving(provider: Socket) -> AsyncIterator[Client]:
    """Serve a provider on loopback, and give a client of it."""
    async with listening(provider):
        yield Client(f"{provider.url}/token?p=s3cret", "orders", "a+b c", "kafka read", None)


@pytest.mark.usefixtures("patient")
async def test_a_token_is_asked_for_by_id_and_secret() -> None:
    provider = Socket(whole(token({"exp": 1e9})))
    async with serving(provider) as client:
        found = await get(client)

    assert (found.text.split(".")[0], found.end) == (part({}), 1e9)
    assert b"POST /token?p=s3cret HTTP/1.1" in provider.asked[0]
    assert f"Authorization: Basic {base64.b64encode(b'orders:a+b c').decode()}".encode() in provider.asked[0]


ELSEWHERE = "Location: http://127.0.0.1:9/elsewhere"


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize(
    ("provider", "kind", "told"),
    [
        (Socket(whole(f'{{"error": "invalid_client", "error_description": "{SAID}"}}', "401 No")), Unauthorized,
         r"answered 401 and refuses the client \(invalid_client\): check its id"),
        (Socket(whole(f'{{"error": "{SAID} x"}}', "400 Bad")), Unauthorized, "refuses the client: check"),
        (Socket(whole(SAID, "403 No")), Unauthorized, "answered 403"),
        (Socket(whole(SAID, "503 Away")), Unreachable, "answered 503"),
        (Socket(whole(SAID, "302 Found", ELSEWHERE)), Unreachable, "redirects and is not followed"),
        (Socket(whole(SAID, "307 Temporary Redirect", ELSEWHERE)), Unreachable, "redirects and is not followed"),
        (Socket(whole(SAID)), Unreachable, "without a JSON Web Token"),
        (Socket(whole("")), Unreachable, "without a JSON Web Token"),
        (Socket(whole("[" * 100_000)), Unreachable, "without a JSON Web Token"),
        (Socket(whole(f'["{SAID}"]')), Unreachable, "without a JSON Web Token"),
        (Socket(whole(f'{{"access_token": "{SAID}"}}')), Unreachable, "without a JSON Web Token"),
        (Socket(whole('{"access_token": 5}')), Unreachable, "without a JSON Web Token"),
        (Socket(whole('{"access_token": "a.b.c\\u0001auth=x"}')), Unreachable, "without a JSON Web Token"),
        (Socket(whole('{"access_token": "a.!.c"}')), Unreachable, "without a JSON Web Token"),
        (Socket(whole('{"access_token": "a.a.c"}')), Unreachable, "without a JSON Web Token"),
        (Socket(whole(token({"sub": SAID}))), Unreachable, "without a JSON Web Token"),
        (Socket(whole(token({"exp": SAID}))), Unreachable, "without a JSON Web Token"),
        (Socket(whole(token({"exp": float("nan")}))), Unreachable, "without a JSON Web Token"),
        (Socket(whole(token([SAID]))), Unreachable, "without a JSON Web Token"),
        (Socket(f"-ERR unknown {SAID}\r\n".encode()), Unreachable, "no answer of a web service"),
        (Socket(OK + f"Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\n{SAID}".encode()), Unreachable, "packed"),
        (Socket(OK + b"\r\n", again=b"x" * 65_536), Unreachable, "longer than 1 MiB"),
        (Socket(OK + b"X: ", again=b"x" * 65_536), Unreachable, "no answer of a web service"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("patient")
async def test_a_provider_that_gives_none_costs_little_and_is_not_quoted(
    provider: Socket, kind: type[HeadraceError], told: str
) -> None:
    await is_refused(provider, kind, told)


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize("provider", [Socket(OK + b"\r\n{", again=b" ", pause=0.05), Socket(b"")])
async def test_a_provider_that_does_not_come_to_an_end_is_given_up(provider: Socket) -> None:
    await is_refused(provider, Unreachable, "no answer within 3 s")


async def is_refused(provider: Socket, kind: type[HeadraceError], told: str) -> None:
    """Ask a provider, and assert that this is said of it, and nothing that it said itself."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with asyncio.timeout(PATIENCE), serving(provider) as client:
        with pytest.raises(kind, match=told) as failed:
            await get(client)

    said = str(failed.value)
    assert SAID not in said
    assert "s3cret" not in said
    assert client.secret not in said
    assert provider.sent < 64 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_a_provider_that_is_away_is_told() -> None:
    with pytest.raises(Unreachable, match=r"No token for Kafka came from http://127.0.0.1:1/token: Cannot connect"):
        await get(Client("http://127.0.0.1:1/token", "a", "b", None, None))


@pytest.mark.usefixtures("patient")
async def test_a_provider_is_known_by_its_authority(tmp_path: Path) -> None:
    with token_provider.providing(tmp_path) as provider:
        provider.clients["orders"] = "x"
        (strange := tmp_path / "strange").mkdir()
        authority.issue(strange, [authority.Certificate(file="a", user="a")])
        client = Client(provider.endpoint, "orders", "x", None, provider.ca.read_text())
        assert (await get(client)).text.count(".") == 2
        for unknown in (None, (strange / "ca.crt").read_text()):
            with pytest.raises(Unreachable, match="certificate"):
                await get(client._replace(authority=unknown))
        with pytest.raises(Invalid, match=r"is no PEM certificate: mend the Secret that sasl\.oauth\.ca names"):
            await get(client._replace(authority="none"))
        assert provider.given == ["orders"]


async def test_one_that_hangs_is_asked_once_for_all_and_holds_up_no_end() -> None:
    """A client is made by its first token alone, and may be let go while it waits for one."""
    provider = Socket(b"")
    async with asyncio.timeout(PATIENCE), serving(provider) as client:
        shared = Kept(get, kafka_tokens.AGE)
        kafkas = [
            Kafka("kafka", {"bootstrap.servers": "127.0.0.1:1", "sasl.mechanism": "OAUTHBEARER"},
                  Tokens(lambda: shared.ask(client)))
            for _ in range(20)
        ]  # fmt: skip
        found = await asyncio.gather(*(one.cluster() for one in kafkas), return_exceptions=True)
        for one in kafkas:
            one.close()

    assert {type(one) for one in found} == {Unreachable}
    assert len(provider.asked) <= 2


class Logins:
    """A Kubernetes with one Secret."""

    def __init__(self, secret: bytes) -> None:
        self.secret, self.authority = secret, b"none"
        self.sent: set[str] = set()

    async def secret_values(self, namespace: str, name: str, address: str) -> dict[str, bytes]:
        """Return what logs in, and note where it would be sent."""
        self.sent.add(address)
        return {"username": b"orders", "password": self.secret, "ca.crt": self.authority}


async def test_the_secret_is_asked_for_in_the_name_of_provider_and_kafka() -> None:
    """And another secret is another client; an empty authority is none, for which that of the system would be taken."""
    oauth = {"tokenEndpoint": "https://id.example.com:8443/token?p=a", "ca": {"secret": "ca", "key": "ca.crt"}}
    sasl = {"mechanism": "OAUTHBEARER", "credentials": {"secret": "login"}, "oauth": oauth}
    spec = {"bootstrapServers": "kafka:9092", "sasl": sasl}
    connection = worlds.resource("KafkaConnection", "kafka", spec, status={"accepted": {"generation": 1, "spec": spec}})
    logins, clock = Logins(b"first"), [0.0]
    with closing(Kafkas(cast(Any, logins), now=lambda: clock[0])) as kafkas:
        first, same = await kafkas.open(connection), await kafkas.open(connection)
        logins.secret = b"second"
        clock[0] += 10
        later = await kafkas.open(connection)
        with pytest.raises(Invalid, match="is no PEM certificate"):
            await later.cluster()
        logins.authority = b"\n"
        clock[0] += 10
        with pytest.raises(Invalid, match=r"Key ca\.crt of Secret ca is empty: put"):
            await kafkas.open(connection)

    assert first is same
    assert later is not first
    assert logins.sent == {"kafka:9092,id.example.com:8443"}
