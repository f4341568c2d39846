"""A load through one, three and one process, with kill -9, a target that is away and a broker that starts anew.

What the target took and Kafka holds afterwards is judged by the validator; and the validator itself by runtimes that
are broken on purpose.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.runtime.consumer_process import make_world
from tests.runtime.faulty_load import Load, loaded, make_topics
from tests.runtime.history import SLACK, violations
from tests.runtime.http_target import serving
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RETRY = {"attempts": 3, "initial": 0.05, "factor": 2, "max": 0.5}
ENOUGH = 2_500


def test_each_record_ends_once_and_in_order_whatever_happens(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world, port = make_world(kafka_broker, tmp_path, partitions=12, retry=RETRY), free_port()
    make_topics(kafka_broker, world)
    with serving(port, set()) as target, loaded(Load(world, target, port, rate=80)) as load:
        with load.coming():
            load.start("one")
            load.works("one")
            load.start("two")
            load.start("three")
            load.works("one", "two", "three")
            load.kill("two")
            load.works("one", "three")

            target.fail("closes")
            until("both circuits open", lambda: load.is_open("one") and load.is_open("three"))
            target.recover()
            load.works("one", "three")

            load.restart_kafka()
            load.works("one", "three")
            assert load.processes["three"].stop() == 0
            load.works("one")
            until("a load of some size", lambda: len(load.produced) > ENOUGH)
        load.settle()
        load.discard(load.letters()[0])
        history = load.history()

    assert violations(history, SLACK) == []
    assert len(history.discarded) == 1
    assert {letter.reason for letter in history.letters} == {"max-attempts", "non-retriable"}
    print(f"{len(history.produced)} records, {len(history.effects)} effects, {len(history.letters)} dead letters")


LOST = "is lost"
DROPS = """
from headrace.worker.attempts import Attempts
make = Attempts.make
async def drop(self, job, claim):
    return None if job.record.offset % 50 == 7 else await make(self, job, claim)
Attempts.make = drop
"""
KEEPS = """
from headrace.worker.poll import Poller
Poller._on_revoked = lambda self, partitions, lost: None
"""
RUNS_ON = """
from headrace.flow import lanes
lanes.lane_of = lambda record, order: (record.topic, record.partition, record.offset)
"""


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        pytest.param(DROPS, LOST, marks=pytest.mark.sweep),
        (KEEPS, "was done by one and again by (two|three|four)"),
        pytest.param(RUNS_ON, "before what is between them", marks=pytest.mark.sweep),
    ],
    ids=["drops a record", "ignores that a partition leaves", "forgets the order of keys"],
)
def test_a_runtime_that_breaks_a_promise_is_found(
    kafka_broker: KafkaBroker, tmp_path: Path, broken: str, says: str
) -> None:
    world, port = make_world(kafka_broker, tmp_path, partitions=12, retry=RETRY), free_port()
    make_topics(kafka_broker, world)
    with serving(port, set()) as target, loaded(Load(world, target, port, rate=300, before=broken)) as load:
        with load.coming():
            load.start("one")
            load.works("one")
            for name in ("two", "three", "four"):  # each takes some of what the first is at
                load.start(name)
                load.works(name)
        until("the validator finding it", lambda: is_found(load, says))


def is_found(load: Load, says: str) -> bool:
    """Whether the validator says so; of a record that is lost only when all is committed, as it may still come."""
    is_over = says != LOST or load.is_all_committed()
    return is_over and any(re.search(says, one) for one in violations(load.history(), SLACK))
