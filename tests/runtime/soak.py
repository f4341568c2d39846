"""A load through faults as in test_faults_kafka.py, for as long as outages take.

The target is away for five minutes, in turn in each way that a target can be.

`make soak` runs it; it takes too long for `make test`, which collects files called ``test_…`` only.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

import pytest

from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.runtime.consumer_process import Running, make_world
from tests.runtime.faulty_load import Load, loaded, make_topics
from tests.runtime.history import SLACK, violations
from tests.runtime.http_target import Fault, serving
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

AWAY = 300.0
"""Seconds in all, in which the target fails in each way it can."""

GROWTH = 1.3
"""How many times the memory that it had at the beginning of the outage a process may have at its end."""

MANY = [f"more-{number}" for number in range(7)]


def test_a_target_that_is_away_for_minutes_costs_no_record(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """One, eight and one process; one of the eight is killed during the outage, and Kafka starts anew after it."""
    retry = {"attempts": 3, "initial": 0.05, "factor": 2, "max": 0.5}
    world, port = make_world(kafka_broker, tmp_path, partitions=12, retry=retry), free_port()
    make_topics(kafka_broker, world)
    with serving(port, set()) as target, loaded(Load(world, target, port, rate=80)) as load:
        with load.coming():
            load.start("one")
            load.works("one")
            for name in MANY:
                load.start(name)
            load.works("one", *MANY)

            before = be_away(load, "one", *MANY)
            load.kill(MANY[0])
            for fault in get_args(Fault):
                target.fail(fault)
                time.sleep(AWAY / len(get_args(Fault)))
            for name in ("one", *MANY[1:]):
                assert memory(load.processes[name]) < before[name] * GROWTH
            target.recover()
            load.works("one", *MANY[1:])

            load.restart_kafka()
            load.works("one", *MANY[1:])
            for name in MANY[1:]:
                assert load.processes[name].stop() == 0
            load.works("one")
        load.settle()
        history = load.history()

    assert violations(history, SLACK) == []
    assert all(
        "lost" not in one.log.read_text().split("the target answers again")[0] for one in load.processes.values()
    )
    print(f"{len(history.produced)} records, {len(history.effects)} effects, {len(history.letters)} dead letters")


def be_away(load: Load, *names: str) -> dict[str, float]:
    """Let the target fail until each process finds so, and return what memory they have then."""
    load.target.fail("shut")
    until("all circuits open", lambda: all(map(load.is_open, names)))
    return {name: memory(load.processes[name]) for name in names}


def memory(running: Running) -> float:
    """Return the bytes of memory that a process has."""
    return running.metric("process_resident_memory_bytes")
