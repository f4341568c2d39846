"""Both stores of handled messages, by one contract: new, held, done, released, and what ends by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from headrace import config
from headrace.stores import Away, Standing, Store
from headrace.stores import redis as own
from headrace.stores.memory import MemoryStore
from headrace.stores.redis import RedisStore
from tests import redis_server as redis
from tests.cluster import authority
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow
NEW, HELD, DONE = Standing.NEW, Standing.HELD, Standing.DONE
Make = Callable[..., Store]


@pytest_asyncio.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Make a store with a window and a lease, in seconds."""
    made: list[Store] = []

    def _make(window: float = 600.0, lease: float = 600.0) -> Store:
        if request.param == "memory":
            store: Store = MemoryStore(most=100, window=window, lease=lease)
        else:
            url = request.getfixturevalue("redis_server").url
            store = RedisStore(config.Redis(url=url), prefix="billing:", window=window, lease=lease)
        made.append(store)
        return store

    yield _make
    for store in made:
        await store.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Redis on a busy machine take its time."""
    monkeypatch.setattr(own, "PATIENCE", PATIENCE)


async def until(store: Store, message: str, wanted: Standing) -> None:
    """Ask about a message until it stands so."""
    deadline = time.monotonic() + PATIENCE
    while (found := await store.claim(message, "asks")) is not wanted:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


async def claimed(store: Store, message: str, token: str) -> Standing:
    """Claim a message, and once more where Redis on a busy machine seems to be away."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await store.claim(message, token)
        except Away:
            assert time.monotonic() < deadline


async def test_one_attempt_has_a_message_until_it_is_done(make: Make) -> None:
    store = make()
    assert await store.claim("m", "a") is NEW
    assert await store.claim("m", "b") is HELD
    assert await store.claim("other", "b") is NEW
    assert await store.claim("m", "a") is NEW
    await store.done("m")
    assert [await store.claim("m", token) for token in "ab"] == [DONE, DONE]


async def test_a_message_that_is_released_is_new(make: Make) -> None:
    """But only who claimed it may release it, and what is done stays so."""
    store = make()
    await store.claim("m", "a")
    await store.release("m", "b")
    assert await store.claim("m", "b") is HELD
    await store.release("m", "a")
    assert await store.claim("m", "b") is NEW
    await store.done("m")
    await store.release("m", "b")
    assert await store.claim("m", "c") is DONE


async def test_who_dies_leaves_a_lease_that_ends(make: Make) -> None:
    store = make(lease=0.2)
    await store.claim("m", "a")
    await until(store, "m", NEW)


async def test_a_lease_is_renewed_by_who_has_it_alone(make: Make) -> None:
    """Renewed by another one, or when it is done, it is as it was."""
    store = make(lease=1.0)
    turns = [time.monotonic()]
    await store.claim("m", "a")
    await store.claim("n", "a")
    while turns[-1] < turns[0] + 3.0:
        await store.renew("n", "a")
        await store.renew("m", "b")
        await asyncio.sleep(0.01)
        turns.append(time.monotonic())
    held = await store.claim("n", "b")
    turns.append(time.monotonic())
    assert held is HELD or max(after - before for before, after in pairwise(turns)) > 0.5  # the machine stood still
    assert await store.claim("m", "b") is NEW
    await store.done("m")
    await store.renew("m", "b")
    assert await store.claim("m", "c") is DONE


async def test_a_message_is_forgotten_after_the_window(make: Make) -> None:
    store = make(window=0.2)
    await store.claim("m", "a")
    await store.done("m")
    await until(store, "m", NEW)


async def test_a_message_is_done_though_its_lease_has_ended(make: Make) -> None:
    """Its effect has happened; whoever has claimed it meanwhile cannot undo that."""
    store = make(lease=0.2)
    await store.claim("m", "a")
    await until(store, "m", NEW)
    await store.done("m")
    assert await store.claim("m", "b") is DONE


async def test_memory_forgets_the_oldest_first() -> None:
    store = MemoryStore(most=2, window=600, lease=600)
    for message in "abc":
        await store.claim(message, "t")
        await store.done(message)
    assert [await store.claim(message, "u") for message in "cba"] == [DONE, DONE, NEW]


async def test_consumers_share_a_redis(redis_server: RedisServer) -> None:
    stores = [
        RedisStore(config.Redis(url=redis_server.url), prefix=prefix, window=600, lease=600)
        for prefix in ("billing:", "mail:", "billing:")
    ]
    assert [await store.claim("m", str(number)) for number, store in enumerate(stores)] == [NEW, NEW, HELD]
    for store in stores:
        await store.close()


async def test_a_redis_that_is_away_or_hangs_is_told_and_comes_back(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "PATIENCE", 3.0)
    store = RedisStore(config.Redis(url=redis_server.url), prefix="p:", window=600, lease=600)
    assert await claimed(store, "m", "a") is NEW
    for gone in (redis_server.away, redis_server.silent):
        with gone():
            for ask in (store.claim("m", "b"), store.done("m"), store.release("m", "a")):
                with pytest.raises(Away, match="Redis was asked to"):
                    await ask
        assert await claimed(store, "m", "b") is HELD
    await store.close()


async def test_a_redis_that_is_full_is_told(redis_server: RedisServer) -> None:
    """It must not count as done, nor as handled."""
    with redis_server.client() as client:
        client.config_set("maxmemory", "1")
    store = RedisStore(config.Redis(url=redis_server.url), prefix="p:", window=600, lease=600)
    with pytest.raises(Away, match="OutOfMemoryError"):
        await store.claim("m", "a")
    await store.close()


@pytest.mark.parametrize("user", [None, "billing"])
async def test_a_rotated_password_is_followed(tmp_path: Path, user: str | None) -> None:
    """The next connection has it; a login that is refused is a store that is away."""
    (tmp_path / "password").write_text("first\n")
    if user:
        (tmp_path / "username").write_text(user)
    settings = {"username_file": str(tmp_path / "username"), "password_file": str(tmp_path / "password")}
    named = user or "default"
    with redis.running("--user", named, "reset", "on", ">first", "~*", "+@all") as server:
        store = RedisStore(config.Redis(url=server.url, **settings), prefix="p:", window=600, lease=600)
        assert await store.claim("m", "a") is NEW
        with server.client(named, "first") as client:
            client.acl_setuser(named, enabled=True, reset_passwords=True, passwords=["+second"])
            client.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(Away, match="AuthenticationError"):
            await store.claim("m", "b")
        (tmp_path / "password").write_text("second\n")
        assert await store.claim("m", "b") is HELD
        await store.close()


async def test_a_redis_is_taken_for_itself_by_its_authority_alone(tmp_path: Path) -> None:
    """Encrypted, by ``rediss://``."""
    folders = [tmp_path / name for name in ("own", "other")]
    for folder in folders:
        authority.issue(folder, [authority.Certificate(file="redis", user="redis", serves=("127.0.0.1",))])
    own, port = folders[0], str(free_port())
    files = ("--tls-cert-file", f"{own}/redis.crt", "--tls-key-file", f"{own}/redis.key")
    known = ("--tls-ca-cert-file", f"{own}/ca.crt", "--tls-auth-clients", "no")
    with redis.running("--tls-port", port, *files, *known):
        for folder in folders:
            settings = config.Redis(url=f"rediss://127.0.0.1:{port}/0", ca_file=f"{folder}/ca.crt")
            store = RedisStore(settings, prefix="p:", window=600, lease=600)
            if folder is own:
                assert await store.claim("m", "a") is NEW
            else:
                with pytest.raises(Away, match="certificate"):
                    await store.claim("m", "b")
            await store.close()
