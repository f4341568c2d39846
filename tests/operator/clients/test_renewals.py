"""What is remembered of many objects is read anew by one list of them, and nothing is believed that has ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from headrace_operator.clients import renewals
from headrace_operator.clients.api import path
from headrace_operator.clients.errors import Unauthorized
from headrace_operator.clients.kube import Kube
from headrace_operator.clients.remembered import OLDEST, Remembered
from headrace_operator.observed.value import Absent

pytestmark = pytest.mark.case("clusters-2")

ACCOUNTS = path("v1", "ServiceAccount", "shop")
OURS = {"app.kubernetes.io/managed-by": "headrace"}
MANY = 25


class Server:
    """An API server with ServiceAccounts, of which it lists a few at a time; it counts what it is asked."""

    def __init__(self) -> None:
        self.objects = {f"{ACCOUNTS}/use{number}": _account(f"use{number}", "1") for number in range(MANY)}
        self.asked: Counter[str] = Counter()
        self.lists = True
        self.answering = asyncio.Event()
        self.answering.set()

    async def get(self, where: str, **query: str) -> Mapping[str, Any] | None:
        self.asked["list" if query else "read"] += 1
        if not query:
            return self.objects.get(where)
        if not self.lists:
            raise Unauthorized("Forbidden.")
        assert query["labelSelector"] == renewals.OURS
        found, begin = [*self.objects.values()], int(query.get("continue", 0))
        end = begin + int(query["limit"])
        await self.answering.wait()
        more = {"continue": str(end)} if end < len(found) else {}
        items = [{name: one[name] for name in ("metadata", "data")} for one in found[begin:end]]
        return {"apiVersion": "v1", "kind": "ServiceAccountList", "metadata": more, "items": items}


def _account(name: str, version: str, labels: Mapping[str, str] = OURS) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version, "labels": labels}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta, "data": {"version": version}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(renewals, "PAGE", 10)
    return Server()


async def _seen(near: Kube) -> list[str | None]:
    """Look at all, as many passes do at once, and return the version of each, None of one that is gone."""
    found = await asyncio.gather(*(near.child("shop", "ServiceAccount", f"use{number}") for number in range(MANY)))
    return [None if isinstance(one, Absent) else one["data"]["version"] for one in found]


async def test_a_list_renews_all_that_is_known(server: Server, near: Kube, clock: list[float]) -> None:
    """In pages; what changed unseen is seen then, and what is gone is asked for and seen to be."""
    assert await _seen(near) == ["1"] * MANY
    clock[0] += OLDEST
    server.objects[f"{ACCOUNTS}/use3"] = _account("use3", "2")
    del server.objects[f"{ACCOUNTS}/use20"]
    server.asked.clear()
    seen = await _seen(near)

    assert seen == [{3: "2", 20: None}.get(number, "1") for number in range(MANY)]
    assert server.asked == {"list": 3, "read": 1}
    clock[0] += OLDEST / 2
    assert await _seen(near) == seen
    assert server.asked["list"] == 3
    clock[0] += OLDEST / 2
    assert await _seen(near) == seen
    assert server.asked["list"] == 6


async def test_what_a_list_would_not_tell_is_read_alone(server: Server, near: Kube, clock: list[float]) -> None:
    """It bears no label of ours, as a user's own."""
    server.objects = {at: {**one, "metadata": {**one["metadata"], "labels": {}}} for at, one in server.objects.items()}
    await _seen(near)
    clock[0] += OLDEST
    await _seen(near)

    assert server.asked == {"read": 2 * MANY}


async def test_without_the_right_to_list_each_is_read_alone(server: Server, near: Kube, clock: list[float]) -> None:
    """As where rights of another release stand."""
    server.lists = False
    await _seen(near)
    clock[0] += OLDEST
    assert await _seen(near) == ["1"] * MANY

    assert server.asked == {"list": 1, "read": 2 * MANY}


async def test_a_list_brings_nothing_back_that_ended_while_it_was_answered(
    server: Server, near: Kube, remembered: Remembered, clock: list[float]
) -> None:
    """A watch told of that end; what was seen to be newer than the list stays, too."""
    await _seen(near)
    clock[0] += OLDEST
    server.answering.clear()
    looking = asyncio.create_task(_seen(near))
    while not server.asked["list"]:  # noqa: ASYNC110 - the list is on its way once others had their turn
        await asyncio.sleep(0)
    clock[0] += 1
    gone, newer = f"{ACCOUNTS}/use3", f"{ACCOUNTS}/use4"
    del server.objects[gone]
    remembered.drop(gone)
    server.objects[newer] = _account("use4", "5")
    remembered.put(newer, server.objects[newer])
    server.answering.set()
    seen = await looking

    assert (seen[3], seen[4]) == (None, "5")
    assert await _seen(near) == seen
