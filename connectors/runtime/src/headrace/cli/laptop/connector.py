"""``headrace connector``: restart, pause and resume a Connector, by the user's rights."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from headrace.cli.failure import unwell
from headrace.cli.laptop import offsets, operating, output, pausing
from headrace.cli.laptop.cluster import Access, Cluster
from headrace.cli.laptop.consent import Sure, consent
from headrace.cli.laptop.operating import PATIENCE, Patience
from headrace.cli.laptop.options import ConnectorName, Context, Kubeconfig, Namespace

app = typer.Typer(no_args_is_help=True, help="Look after a Connector: restart, pause, resume, skip, offsets.")
app.add_typer(offsets.app, name="offsets")

Row = Annotated[str | None, typer.Argument(metavar="ROW", help="Its id, as the condition says it. [default: that one]")]


@app.command()
def restart(
    connector: ConnectorName,
    *,
    timeout: Patience = PATIENCE,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Stop the connector and its tasks, and start them anew where they stopped."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    asked = operating.new_id()
    operating.operate(cluster, connector, "restart", asked, asked, timeout)
    output.write(f"{cluster.namespace}/{connector}: restarted\n")


@app.command()
def pause(
    connector: ConnectorName, *, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Have nothing captured for a while; the database keeps its log meanwhile, which grows."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    pausing.set_state(cluster, pausing.CONNECTOR, connector, pausing.PAUSED)
    output.write(f"{cluster.namespace}/{connector}: paused\n")
    output.say("Its slot keeps the database's log until it is resumed.")


@app.command()
def resume(
    connector: ConnectorName, *, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Go on where it was, also after it was stopped."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    pausing.set_state(cluster, pausing.CONNECTOR, connector, None)
    output.write(f"{cluster.namespace}/{connector}: resumed\n")


@app.command()
def skip(
    connector: ConnectorName,
    row: Row = None,
    *,
    yes: Sure = False,
    timeout: Patience = PATIENCE,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Pass by the outbox row that stops the connector: it becomes no record, and what came after it flows again."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    stands = row or _standing(cluster, connector)
    consent(f"Have the outbox row with id {stands} of {connector} become no record?", sure=yes)
    asked = operating.new_id()
    operating.operate(cluster, connector, "skip", asked, json.dumps({"id": asked, "row": stands}), timeout)
    output.write(f"{cluster.namespace}/{connector}: passed by the outbox row with id {stands}\n")


def _standing(cluster: Cluster, connector: str) -> str:
    """Return the row that the operator says stands in the way; raises ``Failure`` where none does."""
    status = cluster.resource(operating.CONNECTORS, connector).get("status") or {}
    row = (status.get("restarts") or {}).get("row")
    if row is None:
        raise unwell(
            f"no row of an outbox stands in the way of Connector {connector} in namespace {cluster.namespace}",
            "See what it says of itself: headrace status.",
        )
    return str(row)
