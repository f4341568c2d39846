"""What a pod loads at its start: what it does not use costs each start its time, and each pod its memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from headrace import config as contract
from headrace import outbox
from tests.runtime.configs import BILLING
from tests.runtime.relay.configs import RELAY
from tests.waiting import PATIENCE

WEIGHTY = frozenset(
    {"aiohttp", "cryptography", "httptools", "kubernetes", "psycopg", "pymysql", "redis", "rich", "yaml"}
)


def loaded(tmp_path: Path, command: str, text: str) -> set[str]:
    """Return the packages that a pod loads until it would listen, at a port that is taken."""
    (tmp_path / "config.json").write_text(text)
    words = ["-X", "importtime", "-c", "from headrace.cli import app; app()", command]
    with socket.create_server(("", 0)) as taken:
        places = {"HEADRACE_CONFIG": str(tmp_path / "config.json"), "HEADRACE_PORT": str(taken.getsockname()[1])}
        done = subprocess.run(
            [sys.executable, *words], env=os.environ | places, capture_output=True, timeout=PATIENCE, check=False
        )
    assert b"address already in use" in done.stdout, done.stdout
    imports = [line for line in done.stderr.decode().splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in imports}


def consuming(tmp_path: Path, handler: contract.Handler) -> set[str]:
    (tmp_path / "billing.py").write_text("def handle(record): ...\n")
    return loaded(tmp_path, "run", contract.dump(BILLING.model_copy(update={"handler": handler})))


@pytest.mark.parametrize("isolation", ["Thread", "Process"])
def test_a_consumer_of_a_function_loads_no_client_of_anything_else(
    tmp_path: Path, isolation: contract.Isolation
) -> None:
    function = contract.Python(function="billing:handle", path=str(tmp_path), isolation=isolation)
    found = consuming(tmp_path, contract.Handler(python=function))

    assert {"confluent_kafka", "pydantic"} <= found
    assert found & WEIGHTY == set()


def test_one_of_a_target_loads_its_client(tmp_path: Path) -> None:
    found = consuming(tmp_path, contract.Handler(http=contract.Http(url="http://target:8080/")))
    assert found & WEIGHTY == {"httptools"}


@pytest.mark.parametrize(("dialect", "driver"), [("postgresql", {"psycopg"}), ("mysql", {"pymysql", "cryptography"})])
def test_a_relay_loads_the_driver_of_its_database(tmp_path: Path, dialect: str, driver: set[str]) -> None:
    database = RELAY.database.model_copy(update={"dialect": dialect})
    assert loaded(tmp_path, "relay", outbox.dump(RELAY.model_copy(update={"database": database}))) & WEIGHTY == driver
