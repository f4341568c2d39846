"""A Redis that cannot be asked, whatever its client raises, is away: it says nothing of a record."""

from __future__ import annotations

import pytest

from headrace import config
from headrace.stores import Away, Unusable
from headrace.stores.redis import RedisStore


@pytest.mark.parametrize(
    "settings",
    [
        config.Redis(url="redis://127.0.0.1:1/0", ca_file="/etc/headrace/redis/ca.crt"),
        config.Redis(url="rediss://127.0.0.1:1/0", ca_file="/nowhere/ca.crt"),
        config.Redis(url=f"redis://{'a' * 64}:6379"),
        config.Redis(url="redis://redis..shop:6379"),
    ],
    ids=["an authority for nothing", "no authority", "a label too long", "an empty label"],
)
async def test_whatever_the_client_raises_is_a_store_that_is_away(settings: config.Redis) -> None:
    store = RedisStore(settings, prefix="p:", window=600, lease=600)
    with pytest.raises(Away, match=r"Redis was asked to claim a message: \w+"):
        await store.claim("m", "a")
    await store.close()


@pytest.mark.parametrize("url", ["redis://redis:99999", "redis://[::1", "redis://redis:port"])
async def test_what_is_no_address_is_told_before_anything_is_asked(url: str) -> None:
    with pytest.raises(Unusable, match=r"delivery\.deduplication\.redis\.url"):
        RedisStore(config.Redis(url=url), prefix="p:", window=600, lease=600)
