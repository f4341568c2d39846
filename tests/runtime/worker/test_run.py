"""What a consumer that cannot start says to whoever looks at its pod, and how long it may take to stop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace import config as contract
from headrace.worker.run import WATCHDOG
from headrace_operator.plan import consumption
from tests.waiting import PATIENCE

MAIN = """
import sys
from pathlib import Path
from headrace.worker import last_words, run
last_words.TERMINATION_LOG = Path(sys.argv[2])
sys.exit(run.main(sys.argv[1]))
"""


def last_words(tmp_path: Path, delivery: contract.Delivery | None = None) -> str:
    """Run a consumer that cannot start; return its termination message."""
    config = contract.Config(
        namespace="shop",
        consumer="billing",
        pipeline="orders",
        group="g",
        kafka=contract.Kafka(bootstrap_servers="127.0.0.1:1"),
        topics=contract.Topics(sources=("s",), retry="r", dead_letters="d", resolutions="x"),
        handler=contract.Handler(python=contract.Python(function="broken_handler:handle", path=str(tmp_path))),
        delivery=delivery or contract.Delivery(),
    )
    (tmp_path / "config.json").write_text(contract.dump(config))
    said = tmp_path / "termination-log"
    said.touch()
    words = [sys.executable, "-c", MAIN, str(tmp_path / "config.json"), str(said)]
    assert subprocess.run(words, capture_output=True, timeout=PATIENCE, check=False).returncode == 1
    return said.read_text()


@pytest.mark.parametrize(
    ("port", "why"),
    [("99999", "Port out of range 0-65535"), ("six", "Port could not be cast to integer value as 'six'")],
)
def test_an_address_of_redis_that_is_none_is_the_termination_message(tmp_path: Path, port: str, why: str) -> None:
    redis = contract.Redis(url=f"redis://redis:{port}")
    said = last_words(tmp_path, contract.Delivery(deduplication=contract.Deduplication(redis=redis)))
    assert said == f"the address of Redis (delivery.deduplication.redis.url) cannot be used: {why}"


def test_a_handler_that_cannot_be_loaded_is_the_termination_message(tmp_path: Path) -> None:
    (tmp_path / "broken_handler.py").write_text("import os\n\ndef handle(): ...\n")
    place = f"({tmp_path}/broken_handler.py, line 3)"
    assert last_words(tmp_path) == (
        f"handler: broken_handler:handle {place} cannot be called with one argument, the record: "
        "too many positional arguments"
    )


def test_a_pod_is_given_more_time_to_stop_than_it_takes() -> None:
    assert WATCHDOG < consumption.SPARE
