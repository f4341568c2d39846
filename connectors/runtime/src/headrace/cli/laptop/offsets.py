"""``headrace connector offsets``: show, reset and set how far a Connector has read, by the user's rights."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from headrace import printable
from headrace.cli.failure import unreachable, unwell, usage
from headrace.cli.laptop import conditions, operating, output
from headrace.cli.laptop.cluster import Access, Cluster, Json
from headrace.cli.laptop.consent import Sure, consent
from headrace.cli.laptop.operating import PATIENCE, Patience
from headrace.cli.laptop.options import ConnectorName, Context, Kubeconfig, Namespace

app = typer.Typer(no_args_is_help=True, help="Show or change how far a Connector has read its database.")


@app.command()
def show(
    connector: ConnectorName,
    *,
    timeout: Patience = 60,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print the committed offsets as JSON, as ``set`` takes them; the operator asks Kafka Connect anew."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    asked = operating.new_id()
    operating.ask(cluster, connector, "requested-at", asked)
    status = operating.wait(cluster, connector, lambda seen: seen.get("lastHandledRequest") == asked, timeout)
    output.write(printable.as_json(_told(cluster, connector, status), indent=2) + "\n")


@app.command()
def reset(
    connector: ConnectorName,
    *,
    yes: Sure = False,
    timeout: Patience = PATIENCE,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Remove all offsets: the connector reads its tables anew, and then goes on where its slot is.

    Prints those of before, which ``set`` takes.
    """
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    consent(f"Have {connector} forget how far it read, and read its tables anew?", sure=yes)
    _change(cluster, connector, {"action": "reset"}, timeout)


@app.command("set")
def set_(
    connector: ConnectorName,
    file: Annotated[str, typer.Argument(help="File with offsets as JSON, as show prints them; - is stdin.")],
    *,
    yes: Sure = False,
    timeout: Patience = PATIENCE,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Go on from these offsets; changes in between are read again, or not at all. Prints those of before."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    offsets = _read(file)
    consent(f"Have {connector} go on from these offsets, whatever lies in between?", sure=yes)
    _change(cluster, connector, {"action": "set", "offsets": offsets}, timeout)


def _told(cluster: Cluster, connector: str, status: Json) -> list[Any]:
    """Return the offsets of a status that was just written; raises ``Failure`` where nobody told them."""
    what = f"how far Connector {connector} in namespace {cluster.namespace} has read"
    running = conditions.of(status, "Running")
    if running.get("status") == "Unknown":
        remedy = "Ask again once it answers; status.offsets of the Connector has what was seen last."
        raise unreachable(f"{what} was not told: {running['message']}", remedy)
    if status.get("offsets") is None:
        remedy = "Offsets of more than 256 KiB are kept by no status: ask Kafka Connect for those."
        raise unwell(f"{what} is not known: {running.get('message', 'its status does not say why')}", remedy)
    return list(status["offsets"])


def _change(cluster: Cluster, connector: str, wanted: Json, patience: float) -> None:
    asked = operating.new_id()
    value = json.dumps({"id": asked, **wanted})
    done = operating.operate(cluster, connector, "offsets", asked, value, patience)
    output.say(f"{cluster.namespace}/{connector}: {done['message']} Those of before:")
    output.write(printable.as_json(done.get("previous") or [], indent=2) + "\n")


def _read(file: str) -> list[Any]:
    try:
        with sys.stdin if file == "-" else open(file, encoding="utf-8") as source:
            read = json.load(source)
    except (OSError, ValueError) as error:
        raise usage(f"cannot read offsets from {file}: {error}", "Give what offsets show prints.") from error
    if not isinstance(read, list):
        raise usage(f"{file} has no list of offsets", "Give what offsets show prints.")
    return read
