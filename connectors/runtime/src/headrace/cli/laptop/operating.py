"""What is asked of a Connector by an annotation with an id, and waiting for what its status answers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Annotated

import typer

from headrace.cli.failure import unwell
from headrace.cli.laptop import conditions
from headrace.cli.laptop.cluster import Cluster, Json
from headrace.cli.laptop.waiting import progress

CONNECTORS = "connectors"
BETWEEN = 0.5
"""Seconds between two looks."""

Patience = Annotated[int, typer.Option("--timeout", min=1, help="Seconds to wait for the operator.")]
PATIENCE = 360
"""The operator gives an operation up after five minutes."""


def new_id() -> str:
    """Return an id that nothing was asked with before."""
    return uuid.uuid4().hex[:12]


def ask(cluster: Cluster, name: str, annotation: str, value: str) -> None:
    """Annotate a Connector; raises ``Failure``."""
    cluster.patch(CONNECTORS, name, {"metadata": {"annotations": {f"headrace.dev/{annotation}": value}}})


def operate(cluster: Cluster, name: str, annotation: str, asked: str, value: str, patience: float) -> Json:
    """Ask for an operation with the id ``asked``, and return its record once it is done; raises ``Failure``."""
    ask(cluster, name, annotation, value)

    def record(status: Json) -> Json:
        return dict((status.get("operations") or {}).get(annotation) or {})

    def is_over(status: Json) -> bool:
        return record(status).get("id") == asked and record(status).get("phase") in ("Done", "Refused")

    done = record(wait(cluster, name, is_over, patience))
    if done["phase"] != "Done":
        raise unwell(f"Connector {name} in namespace {cluster.namespace}: {done['message']}")
    return done


def wait(cluster: Cluster, name: str, holds: Callable[[Json], bool], patience: float) -> Json:
    """Return the status of a Connector once it is as ``holds`` says; raises ``Failure``."""
    until = time.monotonic() + patience
    with progress() as say:
        while True:
            status: Json = cluster.resource(CONNECTORS, name).get("status") or {}
            if holds(status):
                return status
            if time.monotonic() > until:
                raise unwell(
                    f"the operator did not answer for Connector {name} in namespace {cluster.namespace} "
                    f"within {patience:.0f} s",
                    "What was asked stays asked. See that the operator runs and watches this namespace.",
                )
            say(f"waiting for the operator: {_ready(status)}")
            time.sleep(BETWEEN)


def _ready(status: Json) -> str:
    return str(conditions.of(status, "Ready").get("message") or "it has not looked at the Connector yet")
