"""What the page about versions says that tests run with is what they run with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/versions.md").read_text()
CELLS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
ROWS = {cells[0]: cells[1:] for cells in CELLS}


def tried(what: str) -> str:
    """Return the last cell of the row of this name."""
    return ROWS[what][-1]


def test_kubernetes_and_helm_are_those_that_the_cluster_is_built_of() -> None:
    modules = (ROOT / "tests/cluster/kube/go.mod").read_text()

    assert f"k8s.io/kubernetes v{tried('Kubernetes')}\n" in modules
    assert f"helm.sh/helm/v3 v{tried('Helm')} " in modules


def test_the_charts_refuse_an_older_kubernetes() -> None:
    for chart in ("headrace", "headrace-crds"):
        wanted = yaml.safe_load((ROOT / "charts" / chart / "Chart.yaml").read_text())["kubeVersion"]
        assert wanted == f">={ROWS['Kubernetes'][0].split()[0]}.0-0"


def test_kafka_and_debezium_are_those_of_the_image() -> None:
    pinned = dict(re.findall(r"<(\w+)\.version>([^<]+)<", (ROOT / "connectors/connect/pom.xml").read_text()))

    assert tried("Kafka Connect, in the image") == tried("Kafka") == pinned["kafka"]
    assert tried("Debezium, in the image") == pinned["debezium"]
    assert f"<kafka.version>{pinned['kafka']}<" in (ROOT / "tests/cluster/images/kafka/pom.xml").read_text()


@pytest.mark.parametrize(
    ("what", "number", "program"),
    [
        ("PostgreSQL, as source", 0, "psql"),
        ("PostgreSQL, MariaDB, for relay and inbox", 0, "psql"),
        ("PostgreSQL, MariaDB, for relay and inbox", 1, "mariadb"),
        ("Redis, for `deduplication`", 0, "redis-server"),
    ],
)
def test_databases_are_those_that_tests_start(what: str, number: int, program: str) -> None:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout

    assert re.search(rf"[ =]{re.escape(tried(what).split(', ')[number])}\b", said), said


def test_python_is_the_oldest_that_handlers_may_have() -> None:
    oldest, tested = ROWS["Python, of handlers and the `headrace` command"]

    assert tested == ".".join(map(str, sys.version_info[:2]))
    assert oldest == f"{tested} or newer"
