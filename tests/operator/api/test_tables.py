"""What ``kubectl get`` prints: the API server's own tables of objects with statuses that plans wrote.

HEADRACE_WRITE_GOLDEN=1 writes the golden file instead of comparing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cluster.fast import ApiServer
from tests.operator.operator_process import kubectl
from tests.operator.plan import statuses

pytestmark = pytest.mark.apiserver

GOLDEN = Path(__file__).parents[2] / "golden/tables.txt"
WIDEST = 110
SHOWN = {
    "KafkaConnection": ("answers", "is silent", "without its Secret", "with a bad edit"),
    "ConnectCluster": ("new", "runs", "is silent", "without its KafkaConnection", "with a bad edit"),
    "Connector": ("runs", "is paused, as wanted", "whose task failed", "whose task fails for good",
                  "that Connect refuses", "without its Secret", "with an edit"),
    "Consumer": ("new", "runs", "that lags and has dead letters", "without its topic", "whose pods fail",
                 "that is paused", "while Kafka is silent", "with a bad edit"),
    "OutboxRelay": ("new", "runs", "whose database is away", "whose rows wait for a topic", "with failed rows",
                    "without its Secret", "with a bad edit"),
    "Snapshot": ("new", "that runs", "that is completed", "that was stopped", "of a table that is not captured"),
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(server: ApiServer) -> ApiServer:
    """Return the server after it was given an object of each kind in each state that matters."""
    server.client.create_namespace("tables")
    for name, (resource, plan), _ in statuses.CASES:
        if any(name.endswith(end) or name == f"a {end} {resource.kind}" for end in SHOWN[resource.kind]):
            _put(server, statuses.as_object(resource, plan.status), _slug(name, resource.kind))
    return server


def test_tables_say_whether_it_is_well_and_if_not_why(shown: ApiServer) -> None:
    """At the width of a terminal."""
    printed = "\n".join(_table(shown, kind) for kind in SHOWN)

    assert max(map(len, printed.splitlines())) <= WIDEST
    if os.environ.get("HEADRACE_WRITE_GOLDEN"):
        GOLDEN.write_text(printed)
    assert printed == GOLDEN.read_text(), "look at it, then write it with HEADRACE_WRITE_GOLDEN=1"


def test_columns_are_the_promised_ones(shown: ApiServer) -> None:
    normal = {kind: _head(shown, kind) for kind in SHOWN}
    wide = {kind: _head(shown, kind, "-o", "wide") for kind in SHOWN}

    assert normal["Consumer"] == ["NAME", "READY", "REPLICAS", "LAG", "LAG SECONDS", "DEAD", "REASON", "AGE"]
    assert normal["OutboxRelay"][2:6] == ["REPLICAS", "BACKLOG", "OLDEST SECONDS", "FAILED"]
    assert normal["Connector"] == ["NAME", "READY", "STATE", "TASKS", "LAG SECONDS", "REASON", "AGE"]
    assert normal.pop("Snapshot") == ["NAME", "CONNECTOR", "PHASE", "TABLES", "ROWS", "AGE"]
    assert all(columns[1] == "READY" and columns[-1] == "AGE" for columns in normal.values())
    assert all("REASON" in columns for columns in normal.values())
    assert all({"REASON", "MESSAGE"} <= set(columns) for columns in wide.values())


def _put(server: ApiServer, whole: dict[str, object], name: str) -> None:
    spec = {**statuses.WORLDS[str(whole["kind"])]().resource.spec}
    server.client.apply({**whole, "metadata": {"name": name}, "spec": spec}, "tables")
    server.client.patch(str(whole["kind"]), name, {"status": whole["status"]}, "tables", part="status")


def _slug(name: str, kind: str) -> str:
    words = re.sub(rf"^an? (.*?){kind}( that)?", r"\1", name)
    return re.sub(r"[^a-z]+", "-", words.lower()).strip("-")


def _table(server: ApiServer, kind: str) -> str:
    lines = kubectl(server, "get", f"{kind.lower()}s.headrace.dev", "-n", "tables").splitlines()
    return "".join(f"{re.sub(r'[0-9ms]+$', '1m', line)}\n" for line in lines)


def _head(server: ApiServer, kind: str, *more: str) -> list[str]:
    line = kubectl(server, "get", f"{kind.lower()}s.headrace.dev", "-n", "tables", *more).splitlines()[0]
    return re.split(r"\s{2,}", line.strip())
