"""Functions in worker processes, on real parts: each bad one is contained, and no process is left behind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from headrace.config import Python
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.runtime.test_crash_kafka import patient
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CODE = """
import ctypes, json, os, re, time
import effects_handler

class Odd(Exception):
    def __reduce__(self):
        raise RuntimeError("no")

def handle(record):
    what = json.loads(record.value).get("do")
    effects_handler.note("try", record)
    if what == "hang": time.sleep(3600)
    if what == "spin": re.match("(a+)+$", "a" * 64 + "b")
    if what == "segfault": ctypes.string_at(0)
    if what == "exit": os._exit(3)
    if what == "memory": bytearray(1 << 30)
    if what == "huge": raise RuntimeError("x" * 5_000_000)
    if what == "text": raise RuntimeError("caf\\udce9")
    if what == "odd": raise Odd("odd")
    effects_handler.handle(record)
"""

LONG = 15.0
"""Seconds of an attempt, which no good record comes near, also where the machine stands still for a while."""

BAD = {
    "hang": "timeout",
    "spin": "timeout",
    "segfault": "crash",
    "exit": "crash",
    "memory": "max-attempts",
    "huge": "max-attempts",
    "text": "max-attempts",
    "odd": "max-attempts",
}


def isolated(broker: KafkaBroker, folder: Path, timeout: float) -> World:
    """Make a Consumer whose function runs in worker processes."""
    retry = {"attempts": 2, "initial": 0.05, "factor": 1, "max": 0.05, "max_crash_attempts": 2}
    world = make_world(broker, folder, partitions=2, concurrency=3, retry=retry)
    (folder / "code" / "bad_handler.py").write_text(CODE)
    python = Python(
        function="bad_handler:handle", path=str(folder / "code"), timeout=timeout, isolation="Process", memory=256 << 20
    )
    handler = world.config.handler.model_copy(update={"python": python})
    kafka = patient(world).kafka
    return World(
        broker=broker, config=world.config.model_copy(update={"handler": handler, "kafka": kafka}), folder=folder
    )


def workers(world: World) -> set[int]:
    """Return the processes in which the function has run and that are alive."""
    noted = {int(str(effect["pid"])) for effect in world.effects("try")}
    return {pid for pid in noted if is_alive(pid)}


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end(running: Running, world: World) -> None:
    """Stop in order: exit status 0, and no worker is left."""
    assert running.stop() == 0
    until("no worker left", lambda: not workers(world))


def test_bad_functions_are_contained_and_their_records_dead_lettered(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Research's case 8. One process of the consumer all the time, and each good record handled once."""
    world = isolated(kafka_broker, tmp_path, timeout=LONG)
    good: list[tuple[str | None, object]] = [(f"good{n}", {"n": n, "sleep": 0.05}) for n in range(120)]
    bad: list[tuple[str | None, object]] = [(key, {"do": key}) for key in BAD]
    world.produce([one for pair in zip(good, bad, strict=False) for one in pair] + good[len(bad) :])
    with consuming(world) as running:
        until("all", lambda: sum(world.committed().values()) == len(good) + len(bad))
        assert running.get("/healthz")[0] == 200
        end(running, world)

    letters = {str(letter.key(), "ascii"): dict(letter.headers() or ()) for letter in world.dead_letters(len(BAD))}
    assert {key: said["headrace.reason"].decode() for key, said in letters.items()} == BAD
    assert letters["exit"]["headrace.attempts.crash"] == b"2"
    assert b"139 (SIGSEGV)" in letters["segfault"]["__dlq.errors.message"]
    assert letters["memory"]["kafka_dlt-exception-fqcn"] == b"builtins.MemoryError"
    assert letters["odd"]["headrace.exception-location"].endswith(b"bad_handler.py, line 19")
    done = sorted(str(effect["key"]) for effect in world.effects())
    assert done == sorted(str(key) for key, _ in good), "each good one once"
    tries = [effect["key"] for effect in world.effects("try")]
    twice = ("hang", "spin", "segfault", "exit")
    assert {key: tries.count(key) for key in twice} == dict.fromkeys(twice, 2)


def test_among_quick_records_the_one_that_ends_its_process_is_blamed_alone(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Workers have more records than the one they handle: those are handled elsewhere, once, as are all others."""
    world = isolated(kafka_broker, tmp_path, timeout=300)
    good: list[tuple[str | None, object]] = [(f"good{n % 300}", {"n": n}) for n in range(1500)]
    bad: list[tuple[str | None, object]] = [(f"bad{n}", {"do": do}) for n, do in enumerate(["exit", "segfault"] * 3)]
    world.produce([one for at, key in enumerate(bad) for one in (*good[at * 250 : (at + 1) * 250], key)])
    with consuming(world) as running:
        until("all", lambda: sum(world.committed().values()) == len(good) + len(bad))
        end(running, world)

    letters = {str(letter.key(), "ascii"): dict(letter.headers() or ()) for letter in world.dead_letters(len(bad))}
    assert {key: said["headrace.reason"] for key, said in letters.items()} == {key: b"crash" for key, _ in bad}
    once(world, 1500)
    tries = [str(effect["key"]) for effect in world.effects("try")]
    assert {key: tries.count(key) for key in letters} == dict.fromkeys(letters, 2)
    assert len(tries) == 1500 + 2 * len(bad), "no attempt but those"


def test_an_orderly_stop_amid_quick_records_loses_and_repeats_none(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """What a worker was given and has not begun is left to the next process."""
    world = isolated(kafka_broker, tmp_path, timeout=300)
    world.produce([(f"good{n % 300}", {"n": n, "sleep": 0.002}) for n in range(3000)])
    for some in (200, 1200):
        with consuming(world) as running:
            until("some", lambda some=some: len(world.effects()) >= some)  # type: ignore[misc]
            end(running, world)
    with consuming(world) as running:
        until("all", lambda: sum(world.committed().values()) == 3000)
        end(running, world)
    once(world, 3000)


def once(world: World, records: int) -> None:
    """Each of so many good records has had its effect once, in the order of its key."""
    numbers = [json.loads(str(effect["value"]))["n"] for effect in world.effects()]
    assert sorted(numbers) == list(range(records))
    for rest in range(300):
        assert [n for n in numbers if n % 300 == rest] == list(range(rest, records, 300))


def test_an_orderly_stop_lets_workers_finish(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """What runs when the consumer is asked to stop has its effect and is committed; then its processes end."""
    world = isolated(kafka_broker, tmp_path, timeout=60)
    world.produce([(f"k{n}", {"sleep": 3}) for n in range(3)])
    with consuming(world) as running:
        until("all run", lambda: len(world.effects("try")) == 3)
        end(running, world)
    assert len(world.effects()) == 3
    assert sum(world.committed().values()) == 3


@pytest.mark.parametrize("do", [pytest.param("hang", marks=pytest.mark.sweep), "spin"])
def test_no_worker_outlives_a_consumer_that_is_killed(kafka_broker: KafkaBroker, tmp_path: Path, do: str) -> None:
    world = isolated(kafka_broker, tmp_path, timeout=600)
    world.produce([("bad", {"do": do})])
    with consuming(world) as running:
        until("it runs", lambda: workers(world))
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        until("the end of its worker", lambda: not workers(world))
