"""``headrace connector``: restart, pause and resume a Connector, by the user's rights."""

from __future__ import annotations

import typer

from headrace.cli.laptop import offsets, operating, output, pausing
from headrace.cli.laptop.cluster import Access, Cluster
from headrace.cli.laptop.operating import PATIENCE, Patience
from headrace.cli.laptop.options import ConnectorName, Context, Kubeconfig, Namespace

app = typer.Typer(no_args_is_help=True, help="Look after a Connector: restart, pause, resume, offsets.")
app.add_typer(offsets.app, name="offsets")


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
