"""Spring for Apache Kafka itself reads our dead letters: a listener of its own, in a JVM, over a real broker."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from headrace import config as contract
from tests.cluster.images import catalog, ingredients
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "spring"
SPRING = catalog.Image(name="spring", folder=FOLDER, pom=True)

HANDLER = """
import headrace

def handle(record):
    try:
        return record.json()["amount"]
    except KeyError as error:
        raise headrace.Reject("größer als nichts") from error
"""
ORIGINS = ("topic", "partition", "offset", "timestamp", "timestamp-type", "consumer-group")


def _world(broker: KafkaBroker, folder: Path) -> World:
    world = make_world(broker, folder)
    (folder / "code" / "rejecting.py").write_text(HANDLER)
    python = contract.Python(function="rejecting:handle", path=str(folder / "code"))
    broker.create_topic(f"{world.source}.springs", 1)
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    return World(broker=broker, config=config, folder=folder)


def _said_by_spring(world: World) -> dict[str, str]:
    java = ("java", "-XX:TieredStopAtLevel=1", "-cp", f"{ingredients.jars(SPRING)}/libs/*")
    topics = (world.source, world.config.topics.dead_letters, f"{world.source}.springs")
    words = [*java, str(FOLDER / "ReadLetters.java"), world.broker.bootstrap_servers, *topics]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=2 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_spring_kafka_reads_our_letter_and_writes_the_same_origin(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """The letter has what Spring's own has; a Spring listener's typed arguments are given origin and exception."""
    world = _world(kafka_broker, tmp_path)
    written = int(time.time() * 1000) - 60_000
    world.produce([("customer-7", {"n": 1})], partition=1, timestamp=written)
    with consuming(world) as running:
        world.dead_letters(1)
        assert running.stop() == 0
    said = _said_by_spring(world)

    assert {name: said.pop(f"kafka_dlt-original-{name}") for name in ORIGINS} == dict.fromkeys(ORIGINS, "same")
    assert said.pop("stack").endswith("|Reject: größer als nichts")
    assert said == {
        "value": '{"n": 1}',
        "key": "customer-7",
        "topic": world.source,
        "partition": "1",
        "offset": "0",
        "timestamp": str(written),
        "type": "CreateTime",
        "group": world.config.group,
        "exception": "headrace.record.Reject",
        "cause": "builtins.KeyError",
        "message": "größer als nichts (from KeyError: 'amount')",
    }
