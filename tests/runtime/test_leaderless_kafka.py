"""A partition of the retry topic whose disk is gone, on a real Kafka: it stands by itself, says so, and goes on."""

from __future__ import annotations

import shutil
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.kafka_broker import Installed, KafkaBroker, installed
from tests.runtime.consumer_process import Running, consuming, counted, make_world, read_topic
from tests.runtime.test_parking_kafka import HOUR, SMALL, impatient, numbers
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@contextmanager
def serving(place: Installed) -> Iterator[KafkaBroker]:
    """Run a broker, which ends in order."""
    with place.serving() as broker:
        yield broker
        broker.process.terminate()
        broker.process.wait(PATIENCE)


def add_disk(place: Installed) -> Path:
    """Give a broker that is stopped a second folder of logs, in which the next partitions are made."""
    second = place.folder / "second"
    second.mkdir()
    settings = place.settings.read_text().replace(f"log.dirs={place.data}", f"log.dirs={place.data},{second}")
    place.settings.write_text(f"{settings}metadata.log.dir={place.data}\n")
    known = (place.data / "meta.properties").read_text().splitlines()
    own = "directory.id=" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    others = [one for one in known if not one.startswith("directory.id=")]
    (second / "meta.properties").write_text("\n".join([*others, own, ""]))
    return second


def is_told(running: Running, why: str) -> bool:
    """Whether a pod is not ready, and says why."""
    status, text = running.get("/readyz")
    return status == 503 and why in text


def test_a_retry_partition_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    """Parked records of the others go on in order; its own wait, are told of, and run when it is back."""
    with installed() as place:
        with serving(place) as broker:
            world = make_world(broker, tmp_path, topics=False, retry=HOUR)
            retry = world.config.topics.retry
            for topic, count in ((world.source, 2), (world.config.topics.dead_letters, 2), (retry, 1)):
                broker.create_topic(topic, count)
            assert world.committed() == {}  # has the topic of offsets made
        disk, gone = add_disk(place), place.folder / "gone"
        with serving(place) as broker:
            broker.grow(retry, 2)
            for number in range(2):
                waits = [(f"bad{number}", {"n": n, "after": 3600 if n == 0 else 0}) for n in range(300)]
                world.produce([*waits, (f"good{number}", {"n": 0})], partition=number)
            with consuming(world, before=SMALL) as running:
                until("all parked", lambda: counted(running, "parked_records_total") == 600)
                assert running.stop() == 0
            assert len(read_topic(broker, retry, 600)) == 600
        assert [one.name for one in disk.iterdir() if one.is_dir()] == [f"{retry}-1"]
        shutil.move(disk, gone)
        disk.write_text("a disk that is broken")
        quick = impatient(world, attempts=2)
        with serving(place) as broker:
            admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
            until(
                "no leader", lambda: admin.list_topics(retry, timeout=PATIENCE).topics[retry].partitions[1].leader == -1
            )
            with consuming(world, quick, before=SMALL) as running:
                until("the other", lambda: len(numbers(world, "bad0")) == 299)
                until("it is told", lambda: is_told(running, f"parked in {retry}/1 is not known"))
                assert running.get("/healthz")[0] == 200
                assert numbers(world, "bad0") == list(range(1, 300))
                assert numbers(world, "bad1") == []
        disk.unlink()
        shutil.move(gone, disk)
        with serving(place), consuming(world, quick, before=SMALL) as running:
            until("its own", lambda: len(numbers(world, "bad1")) == 299)
            until("ready", lambda: running.get("/readyz")[0] == 200)
        assert numbers(world, "bad1") == list(range(1, 300))
