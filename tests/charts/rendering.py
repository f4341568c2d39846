"""Helm, as the tests call it, and what it renders."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import build
from tests.waiting import PATIENCE

CHARTS = Path(__file__).parents[2] / "charts"
CHART = CHARTS / "headrace"
IMAGES = ("--set", "images.registry=registry.example/headrace")
"""The least that the chart must be given."""


Done = subprocess.CompletedProcess[str]


def run(*arguments: str) -> Done:
    """Run the cluster's own Helm, which is built when it is not there."""
    helm = str(build.ensure() / "helm")
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


def template(
    *arguments: str,
    chart: Path = CHART,
    namespace: str = "headrace-system",
    images: tuple[str, ...] = IMAGES,
    tests: bool = False,
) -> Done:
    """Run ``helm template``; with ``tests`` also what only ``helm test`` makes is rendered."""
    skipped = () if tests else ("--skip-tests",)
    where = (str(chart), "-n", namespace, "--kube-version", "1.34.0", *skipped)
    return run("template", "headrace", *where, *images, *arguments)


def render(
    *arguments: str,
    chart: Path = CHART,
    namespace: str = "headrace-system",
    images: tuple[str, ...] = IMAGES,
    tests: bool = False,
) -> list[dict[str, Any]]:
    """Return the objects that a chart makes; with ``tests`` also what only ``helm test`` makes."""
    done = template(*arguments, chart=chart, namespace=namespace, images=images, tests=tests)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.load_all(done.stdout, yaml.CSafeLoader) if one]


def of(kind: str, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the objects of a kind."""
    return [one for one in objects if one["kind"] == kind]
