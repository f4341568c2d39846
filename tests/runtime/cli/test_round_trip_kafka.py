"""From the handler's refusal to the effect: the consumer dead-letters, the redrive puts back, the consumer handles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace import config as contract
from headrace.cli import answers
from headrace.record import REDRIVE_COUNT
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.runtime.history import History, violations
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow


def ask(world: World, *words: str, check: bool = True) -> list[answers.Answer | None]:
    path = world.folder / "redrive.json"
    path.write_text(contract.dump(world.config))
    done = subprocess.run(
        [sys.executable, "-c", "from headrace.cli import app; app()", "internal", *words],
        env={**os.environ, "HEADRACE_CONFIG": str(path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=check,
    )
    return [answers.decode(line) for line in done.stdout.splitlines()]


@pytest.fixture
def world(kafka_broker: KafkaBroker, tmp_path: Path) -> World:
    made = make_world(kafka_broker, tmp_path)
    kafka_broker.create_topic(made.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    return made


def test_a_poisoned_record_is_handled_once_after_its_redrive(world: World) -> None:
    world.produce([("c-1", {"poison": True}), ("c-1", {"n": 2}), ("c-2", {"n": 3})])
    with consuming(world):
        world.dead_letters(1)
        until("the other two effects", lambda: len(world.effects()) == 2)
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        until("the effect of the redriven record", lambda: len(world.effects()) == 3)
    last = world.effects()[-1]
    assert (last["key"], last["redriven"], last["attempt"]) == ("c-1", 1, 1)
    assert str(last["topic"]).startswith("retry.")
    assert isinstance(last["position"], list)
    assert last["position"][0] == world.source
    assert ask(world, "dlq-list")[-1] == answers.Done(count=0)


def test_a_record_that_is_refused_again_is_a_new_dead_letter_that_counts(world: World) -> None:
    world.produce([("c-1", {"reject": True})])
    with consuming(world):
        world.dead_letters(1)
        ask(world, "redrive")
        again = world.dead_letters(2)[-1]
    assert dict(again.headers() or [])[REDRIVE_COUNT] == b"1"
    (listed, _) = ask(world, "dlq-list")
    assert isinstance(listed, answers.Listed)
    assert (listed.letter.redrive_count, listed.letter.reason) == (1, "non-retriable")
    assert listed.letter.source is not None
    assert listed.letter.source.topic == world.source


def test_a_consumer_that_stops_while_redriven_records_run_hands_them_over(world: World) -> None:
    """In full load beside them: each once, and those of a key in their order."""
    bad, good = range(300), range(300, 900)
    world.produce([(f"c-{n % 5}", {"n": n, "poison": True, "sleep": 0.02}) for n in bad])
    impatient = world.config.delivery.model_copy(update={"retry": contract.Retry(attempts=1)})
    config = world.config.model_copy(update={"delivery": impatient})
    with consuming(world, config) as running:
        world.dead_letters(len(bad))
        assert ask(world, "redrive")[-1] == answers.Done(count=len(bad))
        world.produce([(f"c-{n % 5}", {"n": n, "sleep": 0.1}) for n in good])
        until("some of the redriven", lambda: [one for one in world.effects() if one["redriven"]])
        assert running.stop() == 0
    before = world.taken()
    with consuming(world, config) as running:
        until("all", lambda: len(world.effects()) >= len(bad) + len(good))
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    taken = world.taken()
    assert 0 < len(before) < len(taken) == len(bad) + len(good)
    for which in (bad, good):
        produced = {n: f"c-{n % 5}" for n in which}
        history = History(produced=produced, effects=[one for one in taken if one.number in which])
        assert violations(history) == []
