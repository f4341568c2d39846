"""The first process of a container, in a PID namespace of its own, with a real consumer beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace import config as contract
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

ALONE = [
    "unshare",
    *(() if os.geteuid() == 0 else ("--map-root-user",)),
    *("--pid", "--fork", "--mount-proc", "--kill-child"),
]
"""Begin a container as far as processes go: what follows is the first, and all others end with it."""

START = "from headrace.worker import init; init.step_aside(); import os, signal, subprocess, sys, time; "

ORPHANS = """
import glob, subprocess
from effects_handler import note

def is_zombie(stat):
    try:
        return ") Z " in open(stat).read()
    except OSError:
        return False

def zombies():
    return sum(map(is_zombie, glob.glob("/proc/[0-9]*/stat")))

def handle(record):
    if b"count" not in record.value:
        subprocess.run(["sh", "-c", "sleep 0.1 &"], check=True)
    elif zombies():
        raise RuntimeError("there are zombies")
    note("done", record)
"""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("sys.exit(7)", 7),
        ("os._exit(139)", 139),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("print(os.getpid() == 1)", 0),
        ("sys.exit(subprocess.run(['sh', '-c', 'exit 5']).returncode)", 5),
    ],
)
def test_it_ends_as_what_it_started_does(code: str, status: int) -> None:
    """And takes nobody's own child away."""
    done = subprocess.run([*ALONE, sys.executable, "-c", START + code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "False\n" if "print" in code else ""), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on(number: signal.Signals) -> None:
    """Also one that comes before anything else has begun to listen for it."""
    code = f"signal.signal({int(number)}, lambda *_: os._exit(9)); print('listens', flush=True); time.sleep(600)"
    with subprocess.Popen([*ALONE, sys.executable, "-c", START + code], stdout=subprocess.PIPE) as outer:
        assert outer.stdout
        assert outer.stdout.readline() == b"listens\n"
        os.kill(first_of(outer.pid), number)
        assert outer.wait(PATIENCE) == 9


def first_of(outer: int) -> int:
    """Return the first process of the namespace that ``unshare`` made."""
    (first,) = until("it", lambda: Path(f"/proc/{outer}/task/{outer}/children").read_text().split())
    return int(first)


def test_what_handlers_leave_behind_is_waited_for(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    patient = {"attempts": 1_000, "initial": 0.1, "factor": 1, "max": 0.1}
    world = make_world(kafka_broker, tmp_path, retry=patient)
    (tmp_path / "code" / "orphans.py").write_text(ORPHANS)
    python = contract.Python(function="orphans:handle", path=str(tmp_path / "code"))
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    world.produce([(f"k{n}", {"n": n}) for n in range(40)])
    with alone(world, config):
        until("all", lambda: len(world.effects()) == 40)
        world.produce([("last", {"count": True})])
        until("no zombie", lambda: len(world.effects()) == 41)


@contextmanager
def alone(world: World, config: contract.Config) -> Iterator[None]:
    """Run a consumer as the first process of a container; asked to stop, it must end in order."""
    with consuming(world, config, within=ALONE) as running:
        yield
        os.kill(first_of(running.process.pid), signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0
    assert sum(world.committed().values()) == 41
    assert 'msg="stopped"' in running.log.read_text()
