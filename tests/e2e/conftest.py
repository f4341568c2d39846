"""What end-to-end tests share: the demo's story, told once, and the pipeline it leaves running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator

import pytest

from tests.cluster import build, fast, node, places
from tests.demo import reach, watching
from tests.demo.watching import Watch
from tests.e2e import world
from tests.e2e.telling import Telling

REGISTRY = f"{places.REGISTRY}/headrace"
OPERATOR = ("-n", "headrace-system", "logs", "-l", "app.kubernetes.io/name=headrace", "--tail=60")
STORY = (sys.executable, "-m", "tests.demo", "--cluster", "current", "--registry", REGISTRY)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the operator logged beside each failure."""
    report = yield
    if report.failed and item.get_closest_marker("cluster"):
        report.sections.append(("the operator's log", world.kubectl(*OPERATOR, check=False)))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those that need the story's end last: what needs less of it runs beside it."""
    items.sort(key=_needs_story)


@pytest.fixture(scope="session")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telling]:
    """The demo's story, which is told as on a user's own cluster: the current context, images from a registry."""
    folder = tmp_path_factory.mktemp("story")
    environment = os.environ | {"KUBECONFIG": str(node.kubeconfig()), "PATH": f"{build.folder()}:{os.environ['PATH']}"}
    out, err = folder / "out", folder / "err"
    with out.open("w") as said, err.open("w") as complained:
        command = [*fast.END_WITH_PARENT, *STORY]
        process = subprocess.Popen(command, cwd=places.ROOT, env=environment, stdout=said, stderr=complained)
    yield Telling(process=process, out=out, err=err)
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def told(telling: Telling) -> str:
    """The story, when it is at its end."""
    return telling.whole()


@pytest.fixture
def watch(told: str) -> Iterator[Watch]:
    """Ways to both databases of the demo and to the operator's metrics."""
    with watching.opened(reach.local()) as opened:
        yield opened


def _needs_story(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "told" in item.fixturenames
