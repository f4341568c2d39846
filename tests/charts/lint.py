"""Judge the rendered charts by kube-score and checkov: ``python -m tests.charts.lint``, or ``make lint-charts``.

What either finds is mended in the charts, or argued in ``argued.yaml``; what is argued and found no more fails, too.
The tools are pinned, and installed into the cache; they are no part of the project's environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.charts.rendering import CHARTS, IMAGES, template
from tests.cluster import places, program, pypi
from tests.cluster.progress import run_logged

Finding = tuple[str, str, str]
"""Tool, check and object."""

HERE = Path(__file__).parent
LOGS = places.CACHE / "log"
ADVICE = "check that PyPI is reachable, then try again"
SCORE = "github.com/zegl/kube-score/cmd/kube-score"
CHECKOV = places.TOOLCHAIN / "checkov-3.3.30"


def main() -> int:
    """Print how many findings there are, and what `complaints` has; the status is 1 when it has something."""
    argued = yaml.safe_load((HERE / "argued.yaml").read_text())
    found = sorted(_found())
    told = complaints(found, argued)
    print("\n".join([*told, f"{len(found)} findings, {len(told)} complaints"]))
    return 1 if told else 0


def complaints(found: Iterable[Finding], argued: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Say what is found and not argued, and what is argued, by tool and check, and not found."""
    seen = tuple(found)
    known = {(tool, check) for tool, checks in argued.items() for check in checks}
    new = [
        f"{tool}: {check}: {what}: mend the chart, or argue it"
        for tool, check, what in seen
        if (tool, check) not in known
    ]
    old = sorted(known - {(tool, check) for tool, check, _ in seen})
    return [*new, *(f"{tool}: {check}: is argued, and found no more: take it out" for tool, check in old)]


def _found() -> Iterator[Finding]:
    """Yield tool, check and object of each finding about either chart."""
    _install()
    with tempfile.TemporaryDirectory() as folder:
        for chart, images in ((CHARTS / "headrace", IMAGES), (CHARTS / "headrace-crds", ())):
            file = Path(folder) / f"{chart.name}.yaml"
            file.write_text(template(chart=chart, images=images, tests=True).stdout)
            yield from _scored(file)
            yield from _checked(file)


def _install() -> None:
    if not (CHECKOV / "whole").exists():
        log = LOGS / "checkov.log"
        run_logged([pypi.uv(), "venv", "--clear", "--python", sys.executable, str(CHECKOV)], log=log, advice=ADVICE)
        python = ["--python", str(CHECKOV / "bin" / "python"), "-r", str(HERE / "checkov.txt")]
        run_logged([pypi.uv(), "pip", "install", *python], log=log, advice=ADVICE)
        (CHECKOV / "whole").touch()


def _scored(file: Path) -> Iterator[Finding]:
    said = _said(
        [str(program.ensure(HERE / "score", SCORE)), "score", "--kubernetes-version", "v1.34", "-o", "json", str(file)]
    )
    for one in json.loads(said) or ():
        for check in one["checks"]:
            if not check["skipped"] and check["grade"] < 10:
                yield "kube-score", check["check"]["id"], one["object_name"]


def _checked(file: Path) -> Iterator[Finding]:
    words = ["--framework", "kubernetes", "--quiet", "--skip-download", "-o", "json", "-f", str(file)]
    said: Any = json.loads(_said([str(CHECKOV / "bin" / "checkov"), *words]))
    for one in said.get("results", {}).get("failed_checks", ()):
        yield "checkov", one["check_id"], one["resource"]


def _said(command: list[str]) -> str:
    """Return what a tool prints, which ends with 1 when it finds something."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(main())
