"""The commands of docs/by-hand.md do what the page says: Kafka's own tools against a real broker."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from headrace.cli import answers
from tests.cluster.images import catalog, ingredients
from tests.kafka_broker import KafkaBroker
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs/by-hand.md"
TOOLS = {
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}


@pytest.fixture
def world(kafka_broker: KafkaBroker, tmp_path: Path) -> World:
    made = make_world(kafka_broker, tmp_path, partitions=1)
    kafka_broker.create_topic(made.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    return made


def by_hand(world: World, tool: str, **changes: str) -> str:
    """Run the page's command with this tool as it stands, but for the names of the world, and ``changes``."""
    (line,) = [line for line in re.findall(r"^\$ (.+)$", PAGE.read_text(), re.MULTILINE) if tool in line]
    given = {
        "kafka:9092": world.broker.bootstrap_servers,
        "headrace.shop.billing": world.config.group,
        "dlq.shop.billing.resolutions": world.config.topics.resolutions,
        "shop.orders-db.outbox.order": world.source,
        **changes,
    }
    for name, value in given.items():
        assert name in line or name not in changes
        line = line.replace(name, value)
    said, _, command = line.rpartition(" | ")
    words = shlex.split(command)
    jars = ingredients.jars(next(image for image in catalog.IMAGES if image.name == "kafka"))
    java = ["java", "-Xmx256m", "-cp", f"{jars / 'libs'}/*", TOOLS[words[0]], *words[1:]]
    text = shlex.split(said)[1] + "\n" if said else ""
    done = subprocess.run(java, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE)
    return done.stdout + done.stderr


def _is_done(world: World, said: str) -> bool:
    """Tell whether offsets were set: of a group that is not empty the tool says an error, and a heading."""
    return world.source in said and "Error" not in said


def test_a_dead_letter_that_is_discarded_is_outstanding_no_more(world: World) -> None:
    """No redrive takes it, and it can still be looked at."""
    world.produce([("c-1", {"reject": True}), ("c-2", {"reject": True})])
    with consuming(world):
        world.dead_letters(2)
    (shown, _) = ask(world, "dlq-show", "0/0")
    assert isinstance(shown, answers.Found)
    key = {"x1JcVY0YQGyEr3uRhkXEpQ/4/0": shown.opened.resolution_key}
    assert "rror" not in by_hand(world, "kafka-console-producer.sh", **key)

    listed, done = ask(world, "dlq-list")
    assert isinstance(listed, answers.Listed)
    assert (listed.letter.name, done) == ("0/1", answers.Done(count=1))
    (found, _) = ask(world, "dlq-show", "0/0")
    assert isinstance(found, answers.Found)
    assert found.opened.resolution == {"action": "discarded", "by": "ada"}
    assert ask(world, "redrive", "--offset=0/0")[-1] == answers.Done(count=0)


def test_a_group_that_was_rewound_handles_all_again(world: World) -> None:
    """The same records, of which message ids are made."""
    world.produce([("c-1", {"n": 1}), ("c-2", {"n": 2})])
    with consuming(world) as running:
        until("two effects", lambda: len(world.effects()) == 2)
        until("their commit", lambda: world.committed() == {0: 2})
        running.stop()
    until("an empty group, rewound", lambda: _is_done(world, by_hand(world, "kafka-consumer-groups.sh")))
    with consuming(world):
        until("four effects", lambda: len(world.effects()) == 4)

    handled = [str(one["position"]) for one in world.effects()]
    assert sorted(handled[:2]) == sorted(handled[2:])


def test_a_consumer_that_comes_back_goes_on_where_it_was(world: World) -> None:
    world.produce([("c-1", {"n": 1})])
    with consuming(world):
        until("one effect", lambda: len(world.effects()) == 1)
        until("its commit", lambda: world.committed() == {0: 1})
    world.produce([("c-1", {"n": 2})])
    with consuming(world):
        until("the next effect", lambda: len(world.effects()) == 2)
        until("its commit", lambda: world.committed() == {0: 2})

    assert len(world.effects()) == 2
