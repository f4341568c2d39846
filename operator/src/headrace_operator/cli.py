"""The command ``headrace-operator``: run the operator, or print the definitions of its kinds."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from headrace_operator import settings as surroundings
from headrace_operator.api import crd

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
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(running.run(settings))


@app.command()
def crds(
    to: Annotated[Path | None, typer.Option(help="Write one file per kind into this folder.")] = None,
) -> None:
    """Print the CustomResourceDefinitions as YAML."""
    if to is None:
        typer.echo(crd.yaml_text())
        return
    for name, text in crd.files().items():
        (to / name).write_text(text)
