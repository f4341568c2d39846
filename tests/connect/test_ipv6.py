"""A Kafka Connect worker in a cluster whose pods have no address of IPv4: where it listens, and how it is known."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import pytest

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.plan.workers import worker_properties
from tests.connect_worker import working
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.waiting import PATIENCE


def test_a_worker_listens_at_every_address() -> None:
    """Of either family: no host stands in the listener."""
    kafka = KafkaConnectionSpec.model_validate({"bootstrapServers": "[fd00::9]:9092"})
    spec = ConnectClusterSpec.model_validate({"kafka": "kafka", "workers": {}})

    assert "listeners=HTTP://:8083" in worker_properties(worlds.CONNECT, spec, kafka).splitlines()


@pytest.mark.slow
@pytest.mark.sweep
def test_a_worker_is_asked_and_known_at_an_address_of_ipv6(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """By the listener that the operator writes and the address that the entry point adds; IPv4 is served beside it."""
    kafka = KafkaConnectionSpec.model_validate({"bootstrapServers": kafka_broker.bootstrap_servers})
    with working(tmp_path, worlds.CONNECT, kafka, "[::1]", listens="") as worker:
        assert f"advertising URL {worker.url}/" in worker.log
        with urlopen(worker.url.replace("[::1]", "127.0.0.1"), timeout=PATIENCE) as answer:
            assert answer.status == 200
