"""Both group protocols on a real broker: what moves when pods come and go, and what a pod that stood still may do."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from headrace.config import GroupProtocol
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

PARTITIONS = 6


def said(running: Running) -> list[tuple[str, frozenset[int]]]:
    """Return what a pod told of its source partitions: what it was given, gave away and lost, in order."""
    lines = re.findall(r'msg="(assigned|giving away|lost) ([^;"]*)', running.said)
    return [(what, numbers) for what, text in lines if (numbers := of_source(text))]


def of_source(text: str) -> frozenset[int]:
    """Return the numbers that a log line lists of the source, as ``shop.c.outbox.order/0+3``."""
    found = re.search(r"outbox\.order/([\d+]+)", text)
    return frozenset(map(int, found[1].split("+"))) if found else frozenset()


def owned(running: Running) -> frozenset[int]:
    """Return which source partitions a pod has, by what it told."""
    have: frozenset[int] = frozenset()
    for what, numbers in said(running):
        have = have | numbers if what == "assigned" else have - numbers
    return have


def shared(pods: Mapping[str, Running], *names: str) -> dict[str, frozenset[int]] | None:
    """Return who has what, once these have all of it, and shares of equal size."""
    have = {name: owned(pods[name]) for name in names}
    whole = Counter(number for numbers in have.values() for number in numbers)
    is_whole = whole == Counter(range(PARTITIONS)) and {len(one) for one in have.values()} == {PARTITIONS // len(have)}
    return have if is_whole else None


def done(world: World) -> Counter[int]:
    """How often each numbered record had its effect."""
    return Counter(json.loads(str(effect["value"]))["n"] for effect in world.effects())


def put(world: World, start: int) -> int:
    """Write ten records into each partition, numbered from ``start``; return the next number."""
    for partition in range(PARTITIONS):
        first = start + 10 * partition
        world.produce([(f"k{n}", {"n": n}) for n in range(first, first + 10)], partition=partition)
    return start + 10 * PARTITIONS


class Group:
    """The pods of a Consumer, some of which come and go."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self.stack = stack
        self.pods: dict[str, Running] = {}
        self.shares: dict[str, frozenset[int]] = {}
        self.written = 0

    def become(self, names: str) -> None:
        """Start and stop pods until it is these, wait for equal shares, and see that all is handled that comes then."""
        heard = {name: len(said(pod)) for name, pod in self.pods.items()}
        for name in self.pods.keys() - set(names):
            assert self.pods.pop(name).stop() == 0
        for name in set(names) - self.pods.keys():
            self.pods[name] = self.stack.enter_context(consuming(self.world))
        shares = until(f"shares of {names}", lambda: shared(self.pods, *names))
        for name in self.pods.keys() & self.shares.keys():
            self.expect_moved(said(self.pods[name])[heard[name] :], self.shares[name], shares[name])
        self.shares = shares
        self.written = put(self.world, self.written)
        until("all that was written", lambda: len(done(self.world)) == self.written)

    def expect_moved(
        self, told: list[tuple[str, frozenset[int]]], before: frozenset[int], after: frozenset[int]
    ) -> None:
        """What a pod kept, and it kept some, was neither given nor taken."""
        given = frozenset().union(*(numbers for what, numbers in told if what == "assigned"))
        taken = frozenset().union(*(numbers for what, numbers in told if what != "assigned"))
        assert (given, taken) == (after - before, before - after)
        assert before & after


def test_only_what_must_move_is_moved(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """One pod, two, three, two, one: what a pod keeps is not given away for a moment, and each record comes once."""
    world = make_world(kafka_broker, tmp_path, partitions=PARTITIONS, protocol="consumer")
    with ExitStack() as stack:
        group = Group(world, stack)
        for names in ("a", "ab", "abc", "ab", "a"):
            group.become(names)
        assert group.pods["a"].stop() == 0
    assert set(done(world).values()) == {1}


def test_a_pod_for_which_nothing_is_left_is_ready(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Two pods for one partition, as in a rollout; the one that stays goes on where the other was."""
    world = make_world(kafka_broker, tmp_path, partitions=1, protocol="consumer")
    with consuming(world) as first, consuming(world) as second:
        until("both to be ready", lambda: all(one.get("/readyz")[0] == 200 for one in (first, second)))
        world.produce([("k", {"n": 0})])
        until("its effect", lambda: done(world)[0] == 1)
        assert first.stop() == 0
        world.produce([("k", {"n": 1})])
        until("the next one", lambda: done(world)[1] == 1)
        assert second.stop() == 0
    assert done(world) == {0: 1, 1: 1}


HOLDS = """
import os, pathlib, time
from headrace.kafka.consumer import Source
from headrace.worker import leaving
leaving.LAST = 300.0
close, folder = Source.close, pathlib.Path(os.environ["EFFECTS"]).parent

def held(self):
    (folder / "closing").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    close(self)

Source.close = held
"""
"""Code that a process runs first: it leaves its group only when it is told to."""


def test_a_pod_that_is_given_more_while_it_leaves_ends_in_order(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=2, protocol="consumer")
    with consuming(world, before=HOLDS) as leaving, consuming(world) as other:
        until("a partition each", lambda: len(owned(leaving)) == len(owned(other)) == 1)
        leaving.process.terminate()
        until("it to begin to leave", (tmp_path / "closing").exists)
        assert other.stop() == 0
        until("both to be its own", lambda: assigned_partitions(world) == 4)
        (tmp_path / "go").touch()
        assert leaving.process.wait(PATIENCE) == 0
    assert 'msg="stopped"' in leaving.log.read_text()


def assigned_partitions(world: World) -> int:
    """How many partitions of both topics the only member of the group is to have; 0 while it has others."""
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap_servers})
    group = world.config.group
    members = admin.describe_consumer_groups([group])[group].result(timeout=PATIENCE).members
    return len(members[0].target_assignment.topic_partitions) if len(members) == 1 else 0


@pytest.mark.parametrize(("before", "after"), [("classic", "consumer"), ("consumer", "classic")])
def test_a_group_changes_its_protocol_while_it_works(
    kafka_broker: KafkaBroker, tmp_path: Path, before: GroupProtocol, after: GroupProtocol
) -> None:
    """As a rollout does it: a new pod comes, an old one goes. Each record comes once, though others wait before it.

    On the way back one that is finished while the group changes may come once more.
    """
    retry = {"attempts": 2, "initial": 3600, "max": 3600}
    world = make_world(kafka_broker, tmp_path, partitions=PARTITIONS, protocol=before, retry=retry)
    changed = world.config.model_copy(update={"group_protocol": after})
    world.produce([(f"bad{n}", {"n": -1, "after": 3600}) for n in range(3)])
    with consuming(world) as a, consuming(world) as b:
        until("two of the one", lambda: shared({"a": a, "b": b}, "a", "b"))
        put(world, 0)
        until("all of the first", lambda: len(done(world)) == 60)
        with consuming(world, changed) as c:
            until("the first of the other", lambda: owned(c))
            assert a.stop() == 0
            put(world, 60)
            with consuming(world, changed) as d:
                until("all of the second", lambda: len(done(world)) == 120)
                assert b.stop() == 0
                until("two of the other", lambda: shared({"c": c, "d": d}, "c", "d"))
                put(world, 120)
                until("all of the third", lambda: len(done(world)) == 180)
                assert c.stop() == d.stop() == 0
    assert set(done(world).values()) <= ({1} if after == "consumer" else {1, 2})
