"""Every panel and every alert is a question that the cluster's own Prometheus understands."""

from __future__ import annotations

import json
import subprocess
import sys
from urllib.parse import quote

import pytest

from dashboards.src import queries, rules
from tests.cluster import node

PROMETHEUS = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query="
ASKED = (*queries(), *((one.name, one.expr) for group in rules.GROUPS.values() for one in group))


@pytest.fixture
def prometheus() -> None:
    """The cluster's Prometheus, brought up when it is not there."""
    build = ("tests.cluster.images", "build", "--push", "--registry", "localhost:5000/headrace")
    for words in (build, ("tests.cluster.stack", "up", "monitoring")):
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("prometheus")
def test_prometheus_answers_every_query() -> None:
    """No query is refused, also where nothing is to be shown yet."""
    refused = {title: said for title, expr in ASKED if (said := _refusal(expr))}

    assert not refused


def _refusal(expr: str) -> str | None:
    done = subprocess.run(
        [*node.kubectl(), "get", "--raw", PROMETHEUS + quote(expr)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if done.returncode != 0:
        return done.stderr
    return None if json.loads(done.stdout)["status"] == "success" else done.stdout
