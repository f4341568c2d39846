"""Each property that Headrace sets is one that the real parts know: a misspelt one does nothing, and fails here."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.plan import debezium, marks, outbox_rows, signals, workers
from tests.cluster.images import catalog, ingredients
from tests.connect_worker import ConnectWorker
from tests.operator import worlds
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-7")]

KNOWN = Path(__file__).parent / "known" / "Known.java"
TOPICS = "topic.creation.default."
UNLISTED = (TOPICS, "driver.", "signal.consumer.", "signal.kafka.", "read.only")
MISSPELT = ["driver.option", "producer.ack", "signal.consumer.group", "signal.kafka.group", f"{TOPICS}partition"]
COLUMNS = {"id": "a", "route": "b", "key": "c", "type": "d", "payload": "e", "traceparent": "f"}
OUTBOX = {"outbox": {"table": "public.outbox", "columns": COLUMNS}}
SPECS: tuple[dict[str, Any], ...] = (
    {"capture": OUTBOX},
    {"capture": {"tables": ["public.orders"]}, "topics": {"partitions": 3, "replicationFactor": 3}},
    {"postgres": {**worlds.CONNECTOR.spec["postgres"], "slot": "a", "publication": "b"}},
    {"config": {"signal.data.collection": "public.signals"}},
)
TLS = {"ca": {"secret": "kafka", "key": "ca.crt"}, "certificate": {"secret": "kafka-client"}}
SASL = {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "kafka"}}
KAFKA = KafkaConnectionSpec.model_validate({"bootstrapServers": "127.0.0.1:9092", "sasl": SASL, "tls": TLS})


def configuration(change: Mapping[str, Any]) -> dict[str, str]:
    """Return the configuration of a Connector that is told of snapshots."""
    spec = {**worlds.CONNECTOR.spec, **change}
    skip = {"id": "1", "action": "SkipRow", "phase": "Done", "rows": ["7"]}
    resource = worlds.resource("Connector", "c", spec, status={"operations": {"skip": skip}})
    written = ConnectorSpec.model_validate(spec)
    made = {**outbox_rows.bound(written, worlds.CONNECT), **debezium.configuration(resource, written)}
    made |= signals.properties(resource, written, worlds.CONNECT, KAFKA)
    return {**made, **marks.mark(resource, worlds.HOME)}


def unknown(worker: ConnectWorker, config: Mapping[str, str]) -> set[str]:
    """Return which properties neither the plug-in nor its converters and transforms know, save the mark.

    Kafka Connect does not list those of topics, nor Debezium those of the driver, of its client of signals, the
    class of its own converters, and that it only reads.
    """
    url = f"{worker.url}/connector-plugins/{config['connector.class']}/config/validate"
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, method="PUT", data=json.dumps(config).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        known = {one["definition"]["name"] for one in json.load(answer)["configs"]}
    converters = {f"{name}.type" for name in config["converters"].split(",")}
    return (
        {name for name in config if not name.startswith(UNLISTED)}
        - known
        - converters
        - {marks.RESOURCE, marks.NAMESPACE}
    )


@pytest.mark.parametrize("change", SPECS, ids=["outbox", "tables", "named", "signals"])
def test_connectors_have_only_properties_that_are_known(connect_worker: ConnectWorker, change: dict[str, Any]) -> None:
    assert not unknown(connect_worker, configuration(change))


@pytest.mark.parametrize(
    "misspelt",
    [
        "snapshot.mood",
        "transforms.outbox.table.fields.additional.error.on.missing",
        "value.converter.schema.enabled",
    ],
)
def test_a_misspelt_property_is_seen(connect_worker: ConnectWorker, misspelt: str) -> None:
    config = configuration({"capture": {"tables": ["public.a"]} if misspelt.startswith("value") else OUTBOX})

    assert unknown(connect_worker, {**config, misspelt: "1"}) == {misspelt}


@pytest.mark.parametrize(
    ("more", "expected"),
    [({}, []), (dict.fromkeys(MISSPELT, "1"), MISSPELT)],
)
def test_workers_topics_and_drivers_have_only_properties_that_are_known(
    tmp_path: Path, more: dict[str, str], expected: list[str]
) -> None:
    """What a converter or a provider knows is its own: the worker hands it all that begins with its name."""
    spec = ConnectClusterSpec.model_validate({"kafka": "kafka", "workers": {"config": more}})
    lines = workers.worker_properties(worlds.CONNECT, spec, KAFKA).splitlines()
    own = [line for line in lines if not line.startswith(("config.providers.", "key.converter.", "value.converter."))]
    own += [f"{name}={value}" for name, value in configuration({}).items() if name.startswith(UNLISTED)]
    file = tmp_path / "worker.properties"
    file.write_text("\n".join(line.replace("${", "$ {") for line in own))
    jars = ingredients.jars(next(image for image in catalog.IMAGES if image.name == "connect"))

    words = ["java", "-cp", f"{jars}/worker/*:{jars}/plugins/debezium-postgres/*", str(KNOWN), str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (done.returncode, sorted(done.stdout.split())) == (0, expected), done.stderr
