"""What end-to-end tests share: the demo's story, told once, and the pipeline it leaves running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator

import pytest

from tests.cluster import build, node, places
from tests.demo import reach, watching
from tests.demo.watching import Watch
from tests.e2e import world

REGISTRY = f"{places.REGISTRY}/headrace"
OPERATOR = ("-n", "headrace-system", "logs", "-l", "app.kubernetes.io/name=headrace", "--tail=60")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the operator logged beside each failure."""
    report = yield
    if report.failed and item.get_closest_marker("cluster"):
        report.sections.append(("the operator's log", world.kubectl(*OPERATOR, check=False)))
    return report


@pytest.fixture(scope="session")
def told() -> str:
    """The demo's story, told to its end as on a user's own cluster: the current context, images from a registry."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo", "--cluster", "current", "--registry", REGISTRY],
        cwd=places.ROOT,
        env=os.environ | {"KUBECONFIG": str(node.kubeconfig()), "PATH": f"{build.folder()}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture
def watch(told: str) -> Iterator[Watch]:
    """Ways to both databases of the demo and to the operator's metrics."""
    with watching.opened(reach.local()) as opened:
        yield opened
