"""What pods answer to their probes while Kafka is away, or code is loaded: real ones at a real broker."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from headrace.worker import health
from headrace_operator.plan.actions import Apply
from tests.connect_worker import ConnectWorker
from tests.kafka_broker import KafkaBroker
from tests.operator.plan import statuses
from tests.runtime.consumer_process import HANDLER, consuming, make_world
from tests.waiting import until

pytestmark = pytest.mark.slow

RESTARTING = ("startupProbe", "livenessProbe")
"""Probes whose failure restarts a container."""


def probes(kind: str) -> dict[str, dict[str, Any]]:
    """Return the probes of the pods that Headrace makes for a kind."""
    made = [one.manifest for one in statuses.planned(statuses.WORLDS[kind]()).actions if isinstance(one, Apply)]
    (deployment,) = [one for one in made if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {name: probe for name, probe in container.items() if name.endswith("Probe")}


def passes(url: str, probe: dict[str, Any]) -> bool:
    """Tell whether the kubelet would take the answer of the pod at ``url`` for a good one."""
    try:
        with urllib.request.urlopen(url + probe["httpGet"]["path"], timeout=probe["timeoutSeconds"]) as answer:
            return bool(200 <= answer.status < 400)
    except OSError:
        return False


def starts_anew(url: str, probe: dict[str, Any]) -> bool:
    """Tell whether the kubelet would start the pod anew: as many answers in a row were no good ones."""
    return not any(passes(url, probe) for _ in range(probe["failureThreshold"]))


def await_well(url: str, asked: dict[str, dict[str, Any]]) -> None:
    """Wait until every probe passes."""
    until("every probe passing", lambda: all(passes(url, one) for one in asked.values()))


@pytest.mark.case("clusters-14")
def test_a_kafka_that_is_away_restarts_no_worker(
    kafka_broker: KafkaBroker,
    connect_worker: ConnectWorker,
) -> None:
    """It is not ready meanwhile, and is again afterwards, in the same process."""
    url, asked = connect_worker.url, probes("ConnectCluster")
    await_well(url, asked)

    with kafka_broker.silent():
        until("the worker seeing it", lambda: not passes(url, asked["readinessProbe"]))
        anew = [starts_anew(url, asked[name]) for name in RESTARTING for _ in range(3)]
        ready = passes(url, asked["readinessProbe"])
    await_well(url, asked)

    assert anew == [False] * 6
    assert not ready
    assert connect_worker.process.poll() is None


@pytest.mark.case("clusters-14")
def test_nor_a_consumer(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """However long it is away: longer than the poll thread may take for a turn."""
    asked = probes("Consumer")
    with consuming(make_world(kafka_broker, tmp_path)) as running:
        url = f"http://127.0.0.1:{running.port}"
        await_well(url, asked)
        anew = []
        with kafka_broker.silent():
            end = time.monotonic() + health.SILENT + 10
            while time.monotonic() < end:
                anew += [starts_anew(url, probe) for name, probe in asked.items() if name in RESTARTING]
                time.sleep(1)
        await_well(url, asked)

        assert anew
        assert not any(anew)
        assert running.process.poll() is None


@pytest.mark.case("clusters-8")
def test_code_that_loads_slowly_is_waited_for(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Nothing answers while a module is imported: that is the startup probe's time, which ends with the import."""
    probe = probes("Consumer")["startupProbe"]
    world = make_world(kafka_broker, tmp_path)
    code = tmp_path / "code/effects_handler.py"
    code.write_text(
        f"import pathlib, time\nwhile not pathlib.Path('{tmp_path}/go').exists(): time.sleep(0.1)\n{HANDLER}"
    )
    with consuming(world) as running:
        url = f"http://127.0.0.1:{running.port}"
        loading = [passes(url, probe) for _ in range(3)]
        (tmp_path / "go").touch()
        until("the startup probe passing", lambda: passes(url, probe))

        assert not any(loading)
        assert running.process.poll() is None
    assert probe["periodSeconds"] * probe["failureThreshold"] == 600
