"""What cannot come right by itself is a dead letter at once, and letter and log say why; over a real broker."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

from headrace import config as contract
from headrace import headers
from headrace.cli.laptop import dlq
from headrace.kafka.topics import Reader
from headrace.letters import reading
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-21")]

HANDLER = """
import json
import headrace
from pydantic import BaseModel

class Order(BaseModel):
    amount: int

class Locked(KeyError):
    pass

def choose(order):
    match order["what"]:
        case "missing":
            return order["amount"]
        case "model":
            return Order.model_validate(order)
        case "index":
            return order["lines"][7]
        case "locked":
            raise Locked("not now")
        case "refused":
            raise PermissionError("refused")
        case "caused":
            try:
                return order["amount"]
            except KeyError as error:
                raise headrace.Reject("no amount") from error

@headrace.handler(final=PermissionError, retriable=Locked)
def plain(record):
    choose(record.json())

@headrace.handler(final=PermissionError, retriable=Locked)
async def waiting(record):
    choose(record.json())
"""
SECRET = "ada-lovelace-4711"
VALUES = {
    "missing": json.dumps({"what": "missing", "name": SECRET}).encode(),
    "bad JSON": b'{"what": ' + SECRET.encode(),
    "not UTF-8": b"\xff" + SECRET.encode(),
    "model": json.dumps({"what": "model", "amount": SECRET}).encode(),
    "index": json.dumps({"what": "index", "lines": [SECRET]}).encode(),
    "locked": json.dumps({"what": "locked", "name": SECRET}).encode(),
    "refused": json.dumps({"what": "refused", "name": SECRET}).encode(),
    "caused": json.dumps({"what": "caused", "name": SECRET}).encode(),
}
FINAL = ("non-retriable", 1)
OUTCOMES = {
    "missing": (*FINAL, "builtins.KeyError", "KeyError: 'amount'"),
    "bad JSON": (*FINAL, "json.decoder.JSONDecodeError", "JSONDecodeError: Expecting value: line 1 column 10 (char 9)"),
    "not UTF-8": (*FINAL, "builtins.UnicodeDecodeError", "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff"),
    "model": (*FINAL, "pydantic_core._pydantic_core.ValidationError", "ValidationError: 1 validation error for Order"),
    "index": (*FINAL, "builtins.IndexError", "IndexError: list index out of range"),
    "locked": ("max-attempts", 3, "finals.Locked", "Locked: 'not now'"),
    "refused": (*FINAL, "builtins.PermissionError", "PermissionError: refused"),
    "caused": (*FINAL, "headrace.record.Reject", "no amount (from KeyError: 'amount')"),
}


def _line(code: str) -> int:
    return HANDLER.splitlines().index(code) + 1


def _world(broker: KafkaBroker, folder: Path, function: str) -> World:
    world = make_world(broker, folder, retry={"attempts": 3, "initial": 0.05, "max": 1})
    (folder / "code" / "finals.py").write_text(HANDLER)
    broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    python = contract.Python(function=f"finals:{function}", path=str(folder / "code"))
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    return World(broker=broker, config=config, folder=folder)


def _key(name: str) -> bytes:
    return f"{SECRET}-{name}".encode()


def _write(world: World) -> None:
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    for name, value in VALUES.items():
        producer.produce(world.source, partition=0, key=_key(name), value=value, headers={"id": f"m {name}"})
    assert producer.flush(PATIENCE) == 0


def _outcome(letter: Message) -> tuple[str | None, int | None, str | None]:
    found = headers.decode(letter.headers())
    return found.reason, found.attempts, found.exception


@pytest.mark.parametrize("function", ["plain", "waiting"])
def test_what_is_final_is_tried_once_and_letter_and_log_say_why(
    kafka_broker: KafkaBroker, tmp_path: Path, function: str
) -> None:
    world = _world(kafka_broker, tmp_path, function)
    _write(world)
    with consuming(world) as running:
        letters = {one.key().decode().removeprefix(f"{SECRET}-"): one for one in world.dead_letters(len(VALUES))}
        until("the commit", lambda: world.committed().get(0) == len(VALUES))
        assert running.stop() == 0
        log = running.log.read_text()

    assert {name: _outcome(letter) for name, letter in letters.items()} == {
        name: said[:3] for name, said in OUTCOMES.items()
    }
    for name, (_, attempts, exception, text) in OUTCOMES.items():
        written = dict(letters[name].headers())
        assert letters[name].value() == VALUES[name]
        assert (written["__dlq.errors.message"] or b"").decode().startswith(text)
        assert f"{tmp_path}/code/finals.py, line ".encode() in (written["headrace.exception-location"] or b"")
        assert b'finals.py", line ' in (written["kafka_dlt-exception-stacktrace"] or b"")
        key = hashlib.sha256(_key(name)).hexdigest()[:12]
        told = [line for line in log.splitlines() if f" key={key} id=m {name} exception={exception}: " in line]
        assert len(told) == attempts
        assert all(f"attempt={number} " in line for number, line in enumerate(told, 1))
        assert all(text.partition(": ")[0] in line and "finals.py, line " in line for line in told)
    assert dict(letters["caused"].headers())["kafka_dlt-exception-cause-fqcn"] == b"builtins.KeyError"
    assert SECRET not in log
    assert SECRET.partition("-")[2] not in log


def test_the_command_shows_text_place_and_stack(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = _world(kafka_broker, tmp_path, "plain")
    _write(world)
    with consuming(world):
        world.dead_letters(len(VALUES))
    with Reader({"bootstrap.servers": kafka_broker.bootstrap_servers}) as reader:
        listed = list(reading.outstanding(reader, world.config.topics))
        caused = next(one for one in listed if one.error and one.error.startswith("no amount"))
        opened = reading.find(reader, world.config.topics, reading.parse_place(caused.name))
    assert opened is not None
    shown = dlq.described(opened)
    errors = dlq.columns(listed, caused.last_failed_at)["ERROR"] if caused.last_failed_at else []

    missing = _line('            return order["amount"]')
    rejected = _line('                raise headrace.Reject("no amount") from error')
    place = f"{tmp_path}/code/finals.py, line"
    assert f"KeyError: 'amount' ({place} {missing})" in errors
    assert "Exception:      headrace.record.Reject\n" in shown
    assert f"Raised at:      {place} {rejected}\n" in shown
    cause = _line('                return order["amount"]')
    assert f'\n        File "{tmp_path}/code/finals.py", line {cause}, in choose\n' in shown
    assert "\n      KeyError: 'amount'\n" in shown
