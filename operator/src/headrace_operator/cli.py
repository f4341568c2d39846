"""The command ``headrace-operator``: run the operator, show what it would do, or print the definitions of its kinds."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from headrace_operator import logs
from headrace_operator import settings as surroundings
from headrace_operator.api import admission, crd, published
from headrace_operator.clients.errors import HeadraceError

COLLECTIONS = (20_000, 20, 20)
"""Objects, and collections, between two collections of garbage: a pass makes some thousands, and few cycles."""

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The Headrace operator."
)


@app.command()
def run() -> None:
    """Run the operator; in a pod as its service account, elsewhere as KUBECONFIG says."""
    from headrace_operator.handlers import run as running

    try:
        settings = surroundings.read(os.environ)
    except KeyError as missing:
        typer.echo(f"The environment variable {missing.args[0]} is not set: the chart sets it.", err=True)
        raise typer.Exit(2) from missing
    except ValueError as wrong:
        typer.echo(str(wrong), err=True)
        raise typer.Exit(2) from wrong
    logs.start(settings.log_level)
    gc.set_threshold(*COLLECTIONS)
    asyncio.run(running.run(settings))


@app.command()
def plan(
    file: Annotated[Path, typer.Option("--file", "-f", help="YAML with resources; - is the standard input.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of resources without one.")] = "default",
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Ask nobody: Secrets, ConfigMaps, topics, Kafka and Kafka Connect are taken to be there; the file "
            "must hold the other resources it names.",
        ),
    ] = False,
) -> None:
    """Show what a pass over each resource of a file would do, in order, and its conditions; nothing is written.

    The cluster is read as your kubeconfig says, or in a pod as its service account. Names on Kafka begin as the
    operator's do when HEADRACE_CLUSTER_NAME is the chart's clusterName.

    Kafka and Kafka Connect are asked when they can be reached from here.
    """
    from headrace_operator.reconcile import preview

    now = datetime.now(UTC)
    try:
        settings = surroundings.read({**surroundings.OUTSIDE, **os.environ})
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        given = preview.resources(text, namespace, settings.cluster_name)
        plan_all = preview.offline if offline else preview.online
        typer.echo(preview.text(asyncio.run(plan_all(given, settings, now))), nl=False)
    except (OSError, ValueError, HeadraceError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@app.command("try")
def try_(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where the KafkaConnection is.")],
    address: Annotated[str, typer.Option(help="IP at which pods reach this process.")],
    kafka: Annotated[str, typer.Option(help="KafkaConnection.")] = "kafka",
    port: Annotated[int, typer.Option(help="Port at which pods reach it.")] = 8080,
    within: Annotated[float, typer.Option(help="Seconds that it all may take.")] = 240,
) -> None:
    """Move one record through Kafka and a Consumer that is made for it, and say why that could not be done.

    It is what the chart's test runs.
    """
    from headrace_operator import trial

    wanted = trial.Trial(namespace=namespace, kafka=kafka, address=address, port=port, within=within)
    try:
        typer.echo(asyncio.run(trial.run(wanted, os.environ.get("KUBECONFIG"))))
    except HeadraceError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@app.command()
def crds(
    to: Annotated[Path | None, typer.Option(help="Write the chart's templates into this folder.")] = None,
    schemas: Annotated[Path | None, typer.Option(help="Write JSON schemas of the kinds into this folder.")] = None,
) -> None:
    """Print the CustomResourceDefinitions as YAML; with --to also write the admission policies and roles."""
    if to is None and schemas is None:
        typer.echo(crd.yaml_text())
    if to is not None:
        _write(to, {**crd.files(), **admission.files()})
    if schemas is not None:
        _write(schemas, published.files())


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text)
