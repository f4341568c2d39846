"""Pausing by the user's rights: ``headrace pause`` and ``resume`` of a Consumer, and the field by which all pause."""

from __future__ import annotations

from headrace.cli.failure import unwell
from headrace.cli.laptop import output
from headrace.cli.laptop.cluster import Access, Cluster
from headrace.cli.laptop.options import ConsumerName, Context, Kubeconfig, Namespace

PAUSED = "Paused"
CONSUMER, CONNECTOR = ("Consumer", "consumers"), ("Connector", "connectors")


def pause(
    consumer: ConsumerName, *, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Have no record handled: pods finish what they have in hand and end, records wait, and all else is kept."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    set_state(cluster, CONSUMER, consumer, PAUSED)
    output.write(f"{cluster.namespace}/{consumer}: paused\n")
    output.say("Its pods finish what they have in hand and end. Kafka keeps the group's offsets for 7 days unless set.")


def resume(
    consumer: ConsumerName, *, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Go on where it was, with as many replicas as it had."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    set_state(cluster, CONSUMER, consumer, None)
    output.write(f"{cluster.namespace}/{consumer}: resumed\n")


def set_state(cluster: Cluster, kind: tuple[str, str], name: str, state: str | None) -> None:
    """Write `spec.state`, or remove it; raises ``Failure``, also where the cluster's definition has no such field."""
    made = cluster.patch(kind[1], name, {"spec": {"state": state}})
    if made["spec"].get("state") != state:
        raise unwell(
            f"the cluster took no state of {kind[0]} {name} in namespace {cluster.namespace}",
            "Its definition is of an earlier version: upgrade the chart headrace-crds.",
        )
