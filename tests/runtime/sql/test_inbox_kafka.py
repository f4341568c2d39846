"""A real consumer process that is killed around its effect: with the inbox there is one effect of each message."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import config as contract
from headrace.sql import dialects
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.runtime.sql.databases import Database
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

HANDLER = """
import os, signal
from contextlib import closing
import headrace

OUT = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def killed(where, record):
    mark = os.environ["EFFECTS"] + "-" + where
    if record.json() == where and not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)

def handle(record):
    os.write(OUT, (record.message_id + "\\n").encode())
    with closing(CONNECT) as connection, connection.cursor() as cursor:
        if headrace.inbox(connection, record):
            cursor.execute("INSERT INTO effects VALUES (%s)", (record.message_id,))
        killed("before", record)
        connection.commit()
        killed("after", record)
"""


def _world(broker: KafkaBroker, folder: Path, database: Database) -> World:
    """Return a Consumer that handles one record after another: it is killed at the second before the fourth."""
    world = make_world(broker, folder, partitions=1, concurrency=1)
    (folder / "code" / "billing.py").write_text(HANDLER.replace("CONNECT", database.code))
    python = contract.Python(function="billing:handle", path=str(folder / "code"))
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    return World(broker=broker, config=config, folder=folder)


def test_a_process_killed_around_its_effect_makes_it_once(
    kafka_broker: KafkaBroker, tmp_path: Path, database: Database
) -> None:
    """Killed after the effect and before its commit in the database, then after that and before Kafka's."""
    world = _world(kafka_broker, tmp_path, database)
    world.produce([(f"c-{number}", wish) for number, wish in enumerate(("well", "before", "well", "after", "well"))])
    for where in ("before", "after"):
        with consuming(world) as running:
            running.process.wait(PATIENCE)
            assert (tmp_path / f"effects-{where}").exists(), running.log.read_text()
    with consuming(world):
        until("all", lambda: world.committed().get(0) == 5)

    delivered = (tmp_path / "effects").read_text().splitlines()
    names = [f"{world.source}-0-{offset}" for offset in range(5)]
    assert sorted(set(delivered)) == names
    assert delivered.count(names[1]) >= 2
    assert delivered.count(names[3]) >= 2
    assert sorted(row[0] for row in database.run("SELECT message FROM effects")) == names
    consumers = database.run(f"SELECT DISTINCT consumer FROM {dialects.TABLE}")
    assert consumers in ([(world.config.group,)], [(world.config.group.encode(),)])
