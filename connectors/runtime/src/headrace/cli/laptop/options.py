"""The options that commands share, as kubectl names them."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.laptop.output import Format

Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace to look in. Default: the context's.")
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig. Default: the current one.")]
Kubeconfig = Annotated[str | None, typer.Option(help="Path of the kubeconfig. Default: as kubectl.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="Form of the data on stdout.")]
ConnectorName = Annotated[str, typer.Argument(metavar="CONNECTOR", help="Name of the Connector.")]
ConsumerName = Annotated[str, typer.Argument(metavar="CONSUMER", help="Name of the Consumer.")]
