"""Tokens that the operator logs in to a Kafka with, got by an OAuth client's id and secret (RFC 6749, 4.4).

Who writes a KafkaConnection chooses whom the operator asks from where it is. So an answer has a size and a deadline, no
redirect is followed, as it would carry the secret elsewhere, and of what came only the kind of error is repeated.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

import aiohttp

from headrace_operator.clients import answers, errors
from headrace_operator.clients.connections import Connections

DEADLINE = 3.0
"""Seconds that a provider may take."""

AGE = 3.0
"""Seconds for which one answer, or failure, serves all that log in by the same client."""

LONGEST = 2**20
"""Bytes of an answer that is read."""

TOKEN = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
"""A JSON Web Token (RFC 7519), with its claims: brokers and Kafka's other clients take no other."""

NEVER = 1e11
"""A time in seconds since 1970 that no clock tells."""

KIND = re.compile(r"[a-z_]{1,40}")
"""What an error is called (RFC 6749, 5.2)."""


class Client(NamedTuple):
    """An OAuth client, where it gets its tokens, and the authority that this is known by, unless it is the system's."""

    endpoint: str
    id: str
    secret: str
    scope: str | None
    authority: str | None


class Token(NamedTuple):
    """A token, and when it ends, in seconds since 1970."""

    text: str
    end: float


class Tokens:
    """What the clients of one Kafka ask for tokens, in the loop that this is made in and from their own threads."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Token]]) -> None:
        self.ask = ask
        self._loop = asyncio.get_running_loop()

    def tell(self, _: str | None) -> tuple[str, float]:
        """Return a token and its end to a thread of librdkafka, which waits; raises whatever prevents it."""
        if self._loop.is_closed():
            raise errors.Unreachable("the operator ends")
        return asyncio.run_coroutine_threadsafe(self.ask(), self._loop).result(DEADLINE + 1)


async def get(client: Client) -> Token:
    """Get a new token; raises `HeadraceError`."""
    tls = _tls(client)
    try:
        async with asyncio.timeout(DEADLINE):
            status, found = await _asked(client, tls)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise errors.Unreachable(f"No token for Kafka came from {client.endpoint}: {_why(error)}.") from error
    if status >= 300:
        raise _refusal(client, status, found)
    return _token(client, found)


def _tls(client: Client) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cadata=client.authority)
    except ssl.SSLError as error:
        text = f"The authority of {client.endpoint} is no PEM certificate: mend the Secret that sasl.oauth.ca names."
        raise errors.Invalid(text) from error
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as Kafka's other clients: authorities of old lack what it asks for
    return made


async def _asked(client: Client, tls: ssl.SSLContext) -> tuple[int, bytes]:
    """Return the status of an answer and what it says."""
    asked = {"grant_type": "client_credentials", **({"scope": client.scope} if client.scope else {})}
    login = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Accept": "application/json", **answers.PLAIN}
    connector = Connections(ssl=tls, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(client.endpoint, data=asked, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, await answers.body(response, LONGEST)


def _why(error: Exception) -> str:
    """Say why nothing came, without a word of what did."""
    match error:
        case TimeoutError():
            return f"no answer within {DEADLINE:g} s"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return "what came is no answer of a web service"
        case _:
            return str(error)


def _refusal(client: Client, status: int, body: bytes) -> errors.HeadraceError:
    if status < 400:
        text = "which redirects and is not followed: give the address that answers itself"
    else:
        kind = _object(body).get("error")
        named = f" ({kind})" if isinstance(kind, str) and KIND.fullmatch(kind) else ""
        text = f"refuses the client{named}: check its id, its secret and the scope"
    made = errors.Unreachable if status < 400 or status >= 500 else errors.Unauthorized
    return made(f"No token for Kafka came from {client.endpoint}, which answered {status} and {text}.")


def _token(client: Client, body: bytes) -> Token:
    text = _object(body).get("access_token")
    found = TOKEN.fullmatch(text) if isinstance(text, str) else None
    end = _claims(found[1]).get("exp") if found else None
    if not isinstance(text, str) or not isinstance(end, int | float) or not 0 < end < NEVER:
        told = f"{client.endpoint} answered without a JSON Web Token that says when it ends: check the address."
        raise errors.Unreachable(f"No token for Kafka: {told}")
    return Token(text, float(end))


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _claims(text: str) -> Mapping[str, Any]:
    try:
        return _object(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return {}
