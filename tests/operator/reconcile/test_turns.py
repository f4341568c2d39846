"""Turns: a bounded number at work, the few before the many, no kind and no place at another's cost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from headrace_operator.reconcile.queue import LATE, PUNCTUAL, Queue
from headrace_operator.reconcile.turns import MOST, OF_A_KIND, OF_A_NAMESPACE, OF_A_PLACE, Key, Turns

KINDS = ("KafkaConnection", "ConnectCluster", "Connector", "Consumer")


def keys(kind: str, count: int, namespace: str = "shop") -> list[Key]:
    """Return ``count`` keys of a kind."""
    return [Key(kind, namespace, f"n{number:04}") for number in range(count)]


def taken(turns: Turns, now: float = 0.0) -> list[Key]:
    """Return what may be at work now, and begin with it."""
    found = []
    while one := turns.take(now):
        found.append(one[0])
    return found


def filled(turns: Turns, *wanted: Key) -> Turns:
    """Return ``turns`` with keys that became due one after the other, long ago."""
    for number, key in enumerate(wanted):
        turns.put(key, number / 1e6 - 1)
    return turns


@pytest.mark.case("clusters-1")
def test_the_few_go_before_the_thousand_that_were_due_before_them() -> None:
    """ConnectClusters and KafkaConnections come last, and are begun with first; the rest is shared by kind."""
    crowd = [*keys("Connector", 500), *keys("Consumer", 500), *keys("ConnectCluster", 3), *keys("KafkaConnection", 1)]
    begun = taken(filled(Turns(lambda _: ""), *crowd))

    assert len(begun) == MOST
    assert Counter(key.kind for key in begun[:4]) == {
        "KafkaConnection": 1,
        "ConnectCluster": 1,
        "Connector": 1,
        "Consumer": 1,
    }
    assert Counter(key.kind for key in begun) == {
        "KafkaConnection": 1,
        "ConnectCluster": 3,
        "Connector": (MOST - 4) // 2,
        "Consumer": (MOST - 4) // 2,
    }


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_takes_every_place(kind: str) -> None:
    """Whichever is many and hangs: one of another kind that becomes due is begun with at once."""
    turns = filled(Turns(lambda _: ""), *keys(kind, 1000), *keys(kind, 1000, "market"))
    assert len(taken(turns)) == OF_A_KIND
    other = Key(next(one for one in KINDS if one != kind), "shop", "other")
    turns.put(other, 0.0)

    assert taken(turns) == [other]


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize("kind", KINDS)
def test_no_namespace_takes_every_place(kind: str) -> None:
    """A thousand in one, which hang or not, leave room for another's, which then have equal parts."""
    turns = filled(Turns(lambda _: ""), *keys(kind, 1000))
    crowd = taken(turns)
    assert len(crowd) == OF_A_NAMESPACE
    few = keys(kind, OF_A_KIND - OF_A_NAMESPACE, "market")
    filled(turns, *keys(kind, 100, "market"))
    assert taken(turns) == few
    for key in crowd:
        turns.end(key, 0.0)

    assert Counter(key.namespace for key in (*taken(turns), *few)) == {"shop": OF_A_KIND / 2, "market": OF_A_KIND / 2}


@pytest.mark.case("clusters-3")
def test_a_place_that_hangs_holds_up_no_other() -> None:
    """Connectors of a Connect that never answers take a few places; those of another go on, in order of their time."""
    hanging, well = keys("Connector", 100), [Key("Connector", "shop", f"well{number:03}") for number in range(300)]
    turns = filled(Turns(lambda key: "well" if key in well else "hanging"), *hanging, *well)
    assert Counter(key in well for key in taken(turns)) == {False: OF_A_PLACE, True: OF_A_PLACE}
    done = well[:OF_A_PLACE]
    for key in done:
        turns.end(key, 0.0)

    assert taken(turns) == well[OF_A_PLACE : 2 * OF_A_PLACE]
    assert turns.next() is None


@pytest.mark.case("clusters-1")
def test_who_was_never_looked_at_waits_no_longer_than_others() -> None:
    """Of a new Connector it is not known which Connect it waits for: that puts it behind no other."""
    known, new = keys("Connector", 300), [Key("Connector", "shop", f"new{number:03}") for number in range(300)]
    turns = filled(Turns(lambda key: f"connect-{int(key.name[1:]) % 30}" if key in known else ""), *new, *known)

    assert taken(turns) == new[:OF_A_NAMESPACE]


def test_a_key_that_became_due_sooner_or_in_its_own_pass_is_taken_once() -> None:
    turns, (key,) = Turns(lambda _: ""), keys("Consumer", 1)
    for at in (60.0, 5.0, 30.0):
        turns.put(key, at)
    assert (turns.next(), len(turns)) == (5.0, 1)
    assert turns.take(4.0) is None
    assert turns.take(6.0) == (key, 1.0)
    turns.put(key, 6.0)
    assert turns.take(7.0) is None
    turns.end(key, 8.0)

    assert turns.take(8.0) == (key, 0.0)
    turns.end(key, 9.0)
    assert (turns.next(), len(turns)) == (None, 0)


@pytest.mark.looptime
@pytest.mark.case("clusters-1")
async def test_overload_lengthens_the_tick_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two thousand that take five seconds each, every five: each is looked at as often as any, and one line says so."""
    looks: Counter[Key] = Counter()
    crowd = [*keys("Connector", 1000), *keys("Consumer", 1000)]
    size, at_work, most = len(crowd), 0, 0

    async def look(key: Key) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(5)
        at_work -= 1
        looks[key] += 1
        if key in crowd[:size]:
            queue.put(key, 5)

    queue = Queue(look)
    for key in crowd:
        queue.put(key)
    running = asyncio.create_task(queue.run())
    await asyncio.sleep(5 * 3.5 * len(crowd) / MOST)
    assert most == MOST
    assert max(looks.values()) - min(looks[key] for key in crowd) <= 1
    assert queue.delay > LATE
    assert [record.levelname for record in caplog.records if "began" in record.message] == ["WARNING"]

    caplog.set_level("INFO")
    size = 10
    await asyncio.sleep(5 * 2 * len(crowd) / MOST + 2 * PUNCTUAL)
    running.cancel()
    assert queue.delay < 1
    assert [record.levelname for record in caplog.records if "late" in record.message] == ["WARNING", "INFO"]
