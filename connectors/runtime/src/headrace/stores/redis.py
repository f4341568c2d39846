"""Remembers messages in a Redis that all pods of a Consumer ask: what any of them handled is known to each.

A message is one key that holds the token of the attempt that claimed it, or `DONE`, and that Redis itself forgets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from headrace import config
from headrace.stores import Away, Standing, Unusable

DONE = b"done"
PATIENCE = 1.0
"""Seconds to wait for a connection and for an answer; each is tried twice."""

OWN = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call({}) end return 0"
RELEASE, RENEW = OWN.format("'del', KEYS[1]"), OWN.format("'pexpire', KEYS[1], ARGV[2]")
"""Only who holds a claim ends or renews it: its lease may have ended, and another attempt may have it."""


class RedisStore:
    """Keys that begin with ``prefix``; ``window`` and ``lease`` in seconds. Opens nothing before it is asked.

    Raises `Unusable` for what is no address.
    """

    def __init__(self, settings: config.Redis, *, prefix: str, window: float, lease: float) -> None:
        self._prefix = prefix
        self._window, self._lease = int(window * 1000), int(lease * 1000)
        self._client = _client(settings)

    async def claim(self, message_id: str, token: str) -> Standing:
        """Claim a message; raises `Away`."""
        key = self._prefix + message_id
        async with _asking("to claim a message"):
            if await self._client.set(key, token, nx=True, px=self._lease):
                return Standing.NEW
            found = await self._client.get(key)
        if found == DONE:
            return Standing.DONE
        return Standing.NEW if found == token.encode() else Standing.HELD

    async def renew(self, message_id: str, token: str) -> None:
        """Begin the lease of a message anew; raises `Away`."""
        async with _asking("to renew a claim"):
            await self._client.eval(RENEW, 1, self._prefix + message_id, token, self._lease)

    async def done(self, message_id: str) -> None:
        """Remember that a message was handled; raises `Away`."""
        async with _asking("to remember a message"):
            await self._client.set(self._prefix + message_id, DONE, px=self._window)

    async def release(self, message_id: str, token: str) -> None:
        """Let others claim a message; raises `Away`."""
        async with _asking("to release a message"):
            await self._client.eval(RELEASE, 1, self._prefix + message_id, token)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _client(settings: config.Redis) -> Any:
    secured: dict[str, Any] = {"ssl_ca_certs": settings.ca_file} if settings.ca_file else {}
    try:
        return Redis.from_url(
            settings.url,
            credential_provider=Mounted(settings) if settings.password_file else None,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 1),
            **secured,
        )
    except ValueError as error:
        raise Unusable(f"the address of Redis (delivery.deduplication.redis.url) cannot be used: {error}") from error


class Mounted(CredentialProvider):
    """The login from its mounted files, read for each new connection, so that a rotated one is followed."""

    def __init__(self, settings: config.Redis) -> None:
        self._settings = settings

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return user name, where there is one, and password; raises ``OSError``."""
        assert self._settings.password_file is not None
        password = _line(Path(self._settings.password_file))
        name = Path(self._settings.username_file or "")
        return (_line(name), password) if name.is_file() else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return the same."""
        return self.get_credentials()


def _line(path: Path) -> str:
    return path.read_text(encoding="utf-8").rstrip("\r\n")


@asynccontextmanager
async def _asking(what: str) -> AsyncIterator[None]:
    try:
        yield
    except Exception as error:  # the client raises what its parts do, which says nothing of the record
        raise Away(f"Redis was asked {what}: {type(error).__name__}: {error}") from error
