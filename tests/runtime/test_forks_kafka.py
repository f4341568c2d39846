"""A handler that works in processes of its own: what ends them is nothing to the consumer."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import config as contract
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import consuming, make_world
from tests.waiting import until

pytestmark = pytest.mark.slow

HANDLER = """
import json, multiprocessing, os, signal, time

FORK = multiprocessing.get_context("fork")
OUT = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def pool():
    with FORK.Pool(2) as workers:
        workers.map(abs, range(4))

def terminated():
    child = FORK.Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join()
    assert child.exitcode == -signal.SIGTERM, child.exitcode

def interrupted():
    child = os.fork()
    if not child:
        time.sleep(600)
        os._exit(0)
    os.kill(child, signal.SIGINT)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGINT

def plain(record):
    globals()[record.json()]()
    os.write(OUT, (json.dumps({"what": "done", "attempt": record.attempt}) + "\\n").encode())

async def coroutine(record):
    plain(record)
"""


@pytest.mark.case("delivery-6")
@pytest.mark.parametrize(
    ("what", "function"),
    [
        ("pool", "plain"),
        ("terminated", "coroutine"),
        ("interrupted", "plain"),
        pytest.param("pool", "coroutine", marks=pytest.mark.sweep),
        pytest.param("terminated", "plain", marks=pytest.mark.sweep),
        pytest.param("interrupted", "coroutine", marks=pytest.mark.sweep),
    ],
)
def test_a_signal_to_a_process_of_the_handler_does_not_stop_the_consumer(
    kafka_broker: KafkaBroker, tmp_path: Path, what: str, function: str
) -> None:
    """Each record's processes are ended by a signal; all are handled at their first attempt, and the pod runs on."""
    world = make_world(kafka_broker, tmp_path)
    (tmp_path / "code" / "forking.py").write_text(HANDLER)
    python = contract.Python(function=f"forking:{function}", path=str(tmp_path / "code"))
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    world.produce([("k", what)] * 5, partition=0)
    with consuming(world, config) as running:
        until("all to be handled", lambda: world.committed().get(0) == 5)
        assert "asked to stop" not in running.log.read_text()
        assert running.stop() == 0
    assert [effect["attempt"] for effect in world.effects()] == [1] * 5
