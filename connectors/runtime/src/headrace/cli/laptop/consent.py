"""Asking a person, on a terminal, whether what cannot be taken back is meant."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.failure import usage

Sure = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def consent(question: str, *, sure: bool) -> None:
    """Go on where the person says yes, or said so before; raises ``Failure`` where nobody can be asked."""
    if sure:
        return
    if not sys.stdin.isatty():
        raise usage("nobody can be asked here, and --yes is not given", "Add --yes.")
    typer.confirm(question, abort=True, err=True)
