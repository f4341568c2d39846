"""No status says of a new spec what was only true of the old one: every version of an object, judged by kstatus."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator.operator_process import kubectl, operator, read
from tests.operator.plan.kstatus.program import conclude
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

KIND, NAME, FIRST = "kafkaconnections.headrace.dev", "generations", "sentinel"


def connection(address: str, name: str = NAME) -> str:
    metadata = {"name": name, "namespace": "shop"}
    spec = {"bootstrapServers": address}
    return json.dumps(
        {"apiVersion": "headrace.dev/v1alpha1", "kind": "KafkaConnection", "metadata": metadata, "spec": spec}
    )


def test_an_edit_is_never_seen_as_done_before_it_was_looked_at(
    server: ApiServer, kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """A connection that answers is pointed at nothing and back again."""
    with _versions(server, tmp_path) as versions, operator(server, tmp_path, name="generations") as running:
        for address, ready in ((kafka_broker.bootstrap_servers, "True"), ("127.0.0.1:1", "False")) * 2:
            server.client.apply(connection(address))
            until(f"Ready={ready} for {address}", partial(_says, server, ready))
        assert running.stop() == 0
        last = read(server, KIND, NAME)["metadata"]["resourceVersion"]
        until("the last version", lambda: versions()[-1]["metadata"]["resourceVersion"] == last)
        seen = versions()

    verdicts = conclude(seen)
    assert seen[0]["status"]["observedGeneration"] == -1
    assert verdicts[0] == "InProgress"
    for version, verdict in zip(seen, verdicts, strict=True):
        answers = version["spec"]["bootstrapServers"] != "127.0.0.1:1"
        assert verdict == "InProgress" or (verdict == "Current" and answers), version
    assert verdicts.count("Current") >= 2


def _says(server: ApiServer, ready: str) -> bool:
    found: dict[str, Any] = read(server, KIND, NAME)
    conditions = {one["type"]: one["status"] for one in found["status"].get("conditions", ())}
    seen: int = found["status"]["observedGeneration"]
    return seen == found["metadata"]["generation"] and bool(conditions["Ready"] == ready)


@contextmanager
def _versions(server: ApiServer, folder: Path) -> Iterator[Any]:
    """Watch from now on; the function that is given returns every version of the object that was seen."""
    path = folder / "versions.jsonl"
    server.client.apply(connection("127.0.0.1:1", FIRST))
    watch = [*server.kubectl, "get", KIND, "-n", "shop", "-w", "--output-watch-events", "-o", "json"]
    with path.open("wb") as output:
        process = subprocess.Popen(watch, stdout=output)
    try:
        until("the watch begins", lambda: FIRST in path.read_text())
        yield lambda: _read(path)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        kubectl(server, "delete", KIND, FIRST, NAME, "-n", "shop", "--ignore-not-found")


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the versions that were written whole: kubectl may be amid another."""
    decoder, text, found = json.JSONDecoder(), path.read_text().lstrip(), []
    with contextlib.suppress(json.JSONDecodeError):
        while text:
            event, end = decoder.raw_decode(text)
            text = text[end:].lstrip()
            found.append(event["object"])
    return [one for one in found if one["metadata"]["name"] == NAME]
