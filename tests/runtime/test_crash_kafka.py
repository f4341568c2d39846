"""A record that ends its process becomes a dead letter after a few times; what is around it comes not for ever."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from headrace import config as contract
from headrace import headers
from tests import lines
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import bury
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENDS = """
import ctypes, json, os, re, signal
from pathlib import Path
import effects_handler
from headrace.worker import last_words
last_words.TERMINATION_LOG = Path(os.environ["EFFECTS"]).parent / "termination-log"
whole = effects_handler.note
def note(what, record):
    whole(what, record)
    wish = json.loads(record.value) if record.value else {}
    if what != "begin":
        return
    if wish.get("exit"):
        os._exit(wish["exit"])
    if wish.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if wish.get("segfault"):
        ctypes.string_at(0)
    if wish.get("regex"):
        re.match("(a+)+$", "a" * 64 + "b")
effects_handler.note = note
"""


def before(world: World) -> str:
    """The handler of the tests, made to end its process where a record says so."""
    return f"import sys; sys.path.insert(0, {str(world.folder / 'code')!r})\n" + ENDS


def run_until_it_stays(world: World, most: int, is_over: Callable[[], bool]) -> list[str]:
    """Start the process anew each time that it ends, as Kubernetes does; return its last words each time it ended."""
    words: list[str] = []
    said = world.folder / "termination-log"
    while len(words) <= most:
        said.write_text("")
        with consuming(world, patient(world), before=before(world)) as running:
            until("its end, or that of the work", partial(is_settled, running, is_over))
            if not ends(running):
                assert running.stop() == 0
                return words
        mourn(world)
        words.append(said.read_text())
    raise AssertionError(f"it still ends after {most} times")


def patient(world: World) -> contract.Config:
    """The configuration, with a group that takes no member for gone that is slow."""
    kafka = world.config.kafka.model_copy(update={"properties": {"session.timeout.ms": str(int(PATIENCE * 1000))}})
    return world.config.model_copy(update={"kafka": kafka})


def mourn(world: World) -> None:
    """Let the group know that its process has ended."""
    bury(world.broker.admin, world.broker.bootstrap_servers, world.config.group)


def is_settled(running: Running, is_over: Callable[[], bool]) -> bool:
    """Whether the process has ended, or the work has; one that stands still is killed, as by its liveness probe."""
    if any("regex" in str(begun["value"]) for begun in pending(running)) and running.get("/healthz", timeout=5)[0] == 0:
        running.process.kill()
        running.process.wait(PATIENCE)
    return ends(running) or is_over()


def pending(running: Running) -> list[dict[str, object]]:
    """Return what the process has begun to handle, in its log of effects, and not finished."""
    own = [line for line in lines.events(running.log.parent / "effects") if line["pid"] == running.process.pid]
    done = {line["key"] for line in own if line["what"] == "done"}
    return [line for line in own if line["key"] not in done]


def ends(running: Running) -> bool:
    """Whether the process has ended."""
    return running.process.poll() is not None


def counts(world: World, what: str = "done") -> Counter[str]:
    """How often each key had its effect, or was begun."""
    return Counter(str(effect["key"]) for effect in world.effects(what))


def told(world: World) -> set[str]:
    """Return the keys k0, k1, … of the offsets of partition 0 which the group knows to be done."""
    known, frontier = world.map(), world.committed().get(0, 0)
    beyond = [offset for begin, end in (known.done if known else ()) for offset in range(begin, end)]
    return {f"k{offset}" for offset in (*range(frontier), *beyond)}


def has_told(world: World, least: int) -> bool:
    """Whether so many records had their effect, and the group knows it of all but those of two rounds of eight."""
    return len(counts(world)) >= least and len(told(world)) >= least - 2 * 8


@pytest.mark.case("delivery-19")
@pytest.mark.parametrize(
    "poison",
    [{"segfault": 1}, {"regex": 1}, pytest.param({"exit": 139}, marks=pytest.mark.sweep)],
    ids=["segfault", "regex", "exit"],
)
def test_a_record_that_ends_the_process(kafka_broker: KafkaBroker, tmp_path: Path, poison: dict[str, int]) -> None:
    """The good records around it, also of another partition, are handled a few times at most, and all are committed."""
    world = make_world(kafka_broker, tmp_path, partitions=2)
    world.produce([("ok1", {"n": 1}), ("poison", poison), ("ok2", {"n": 2})], partition=0)
    world.produce([("ok3", {"n": 3})], partition=1)

    ended = run_until_it_stays(world, 8, lambda: world.committed() == {0: 3, 1: 1})

    (letter,) = world.dead_letters(1)
    said = dict(letter.headers() or ())
    assert letter.key() == b"poison"
    assert said["headrace.reason"] == b"crash"
    assert said["headrace.attempts.crash"] == b"3"
    assert headers.decode(letter.headers() or ()).attempts == 3
    assert 3 <= len(ended) <= 5
    assert ended[-1] == f"while handling {world.source}/0@1"
    assert counts(world, "begin")["poison"] == len(ended)
    assert set(counts(world)) == {"ok1", "ok2", "ok3"}
    assert max(counts(world).values()) <= 3


@pytest.mark.case("delivery-19")
def test_a_record_that_is_killed_among_hundreds(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """As one is that takes too much memory; two such records, and one that fails as usual, among quick ones."""
    retry = {"attempts": 3, "initial": 0.1, "factor": 1, "max": 0.1, "max_crash_attempts": 2}
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=retry)
    bad = {40: {"kill": 1}, 41: {"fail": 9}, 333: {"kill": 1}}
    world.produce([(f"k{n}", bad.get(n, {"n": n})) for n in range(600)])

    ended = run_until_it_stays(world, 12, lambda: world.committed() == {0: 600})

    letters = {letter.key(): dict(letter.headers() or ())["headrace.reason"] for letter in world.dead_letters(3)}
    assert letters == {b"k40": b"crash", b"k333": b"crash", b"k41": b"max-attempts"}
    assert len(ended) <= 8
    done = counts(world)
    assert len(done) == 597
    assert sum(done.values()) - len(done) <= 60, "the good ones around it came again and again"


@pytest.mark.case("delivery-19")
def test_a_pod_that_is_killed_by_others_costs_no_record(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Killed five times while slow records run, none of which is the cause: all are handled, and none that was told."""
    world = make_world(kafka_broker, tmp_path, partitions=1)
    world.produce([(f"k{n}", {"n": n, "sleep": 0.3}) for n in range(60)])
    once: dict[str, int] = {}
    for share in (5, 12, 19, 26, 33):
        with consuming(world, patient(world)) as running:
            until("some effects, and most of them told", partial(has_told, world, share))
            os.kill(running.process.pid, signal.SIGKILL)
            running.process.wait(PATIENCE)
        mourn(world)
        once |= {key: counts(world)[key] for key in told(world)}
    with consuming(world, patient(world)) as last:
        until("all", lambda: world.committed() == {0: 60})
        assert last.stop() == 0
    assert len(counts(world)) == 60
    assert {key: counts(world)[key] for key in once} == once
