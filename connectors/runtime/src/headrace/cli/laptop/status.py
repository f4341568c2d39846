"""``headrace status``: is all well, and if not, what is not. Reads custom resources only; worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from headrace.cli.failure import Exit, not_found
from headrace.cli.laptop import conditions, output
from headrace.cli.laptop.cluster import Access, Cluster, Json
from headrace.cli.laptop.options import Context, Kubeconfig, Namespace, Output
from headrace.cli.laptop.output import Format

KINDS = {
    "kafkaconnections": "KafkaConnection",
    "connectclusters": "ConnectCluster",
    "connectors": "Connector",
    "consumers": "Consumer",
    "outboxrelays": "OutboxRelay",
    "snapshots": "Snapshot",
}


@dataclass(frozen=True, kw_only=True)
class State:
    """What the status of one resource says; "-" where it says nothing."""

    kind: str
    namespace: str
    name: str
    ready: str
    reason: str
    message: str
    replicas: str
    lag: str
    lag_seconds: str
    dead_letters: str

    @property
    def badness(self) -> int:
        """How much it needs a look: not ready 0, unknown 1, ready with dead letters 2, well 3."""
        if self.ready != "True":
            return 0 if self.ready == "False" else 1
        return 3 if self.dead_letters in ("-", "0") else 2


def status(
    consumer: Annotated[str | None, typer.Argument(help="Only this Consumer.")] = None,
    namespace: Namespace = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    form: Output = Format.TABLE,
) -> None:
    """Say how resources are, worst first; the exit code is 1 when one is not ready."""
    cluster = Cluster(Access(namespace=namespace, context=context, kubeconfig=kubeconfig))
    states = worst_first(_read(cluster, consumer, everywhere))
    if consumer and not states:
        raise not_found(f"no Consumer {consumer} in namespace {cluster.namespace}", "See all: headrace status -A")
    if states or form is not Format.TABLE:
        output.write(output.render([row(one) for one in states], columns(states, everywhere), form))
    else:
        output.say(f"No Headrace resources in {'any namespace' if everywhere else f'namespace {cluster.namespace}'}.")
    if any(one.ready != "True" for one in states):
        raise typer.Exit(Exit.UNWELL)


def state(resource: Json, kind: str) -> State:
    """Return what ``resource`` says of itself; its status may be absent or partial."""
    said: Json = resource.get("status") or {}
    ready = conditions.of(said, "Ready")
    lag = said.get("lag") or {}
    return State(
        kind=kind,
        namespace=resource["metadata"]["namespace"],
        name=resource["metadata"]["name"],
        ready=ready.get("status", "Unknown"),
        reason=ready.get("reason", "-"),
        message=ready.get("message") or "-",
        replicas=_replicas(said),
        lag=_figure(lag.get("records")),
        lag_seconds=_figure(lag.get("seconds")),
        dead_letters=_figure((said.get("deadLetters") or {}).get("outstanding")),
    )


def worst_first(states: Sequence[State]) -> list[State]:
    """Return ``states`` with what needs a look first."""
    return sorted(states, key=lambda one: (one.badness, one.namespace, one.kind, one.name))


def row(one: State) -> dict[str, str]:
    """Return the facts of a state for programs; ``name`` is kind/name as kubectl prints it."""
    return {
        "name": f"{one.kind.lower()}.headrace.dev/{one.name}",
        "kind": one.kind,
        "namespace": one.namespace,
        "ready": one.ready,
        "replicas": one.replicas,
        "lag": one.lag,
        "lagSeconds": one.lag_seconds,
        "deadLetters": one.dead_letters,
        "reason": one.reason,
        "message": one.message,
    }


def columns(states: Sequence[State], everywhere: bool) -> dict[str, list[str]]:
    """Return the table for people."""
    where = {"NAMESPACE": [one.namespace for one in states]} if everywhere else {}
    return {
        **where,
        "KIND": [one.kind for one in states],
        "NAME": [one.name for one in states],
        "READY": [one.ready for one in states],
        "REPLICAS": [one.replicas for one in states],
        "LAG": [one.lag for one in states],
        "LAG S": [one.lag_seconds for one in states],
        "DEAD": [one.dead_letters for one in states],
        "REASON": [one.reason for one in states],
        "MESSAGE": ["-" if one.ready == "True" else " ".join(one.message.split()) for one in states],
    }


def _read(cluster: Cluster, consumer: str | None, everywhere: bool) -> list[State]:
    kinds = {"consumers": "Consumer"} if consumer else KINDS
    found = [
        state(resource, kind)
        for plural, kind in kinds.items()
        for resource in cluster.listed(plural, everywhere=everywhere)
    ]
    return [one for one in found if consumer in (None, one.name)]


def _replicas(said: Json) -> str:
    if "tasks" in said:
        tasks = said["tasks"] or []
        return f"{sum(task.get('state') == 'RUNNING' for task in tasks)}/{len(tasks)}"
    wanted = said.get("replicas")
    return "-" if wanted is None else f"{said.get('readyReplicas', 0)}/{wanted}"


def _figure(value: Any) -> str:
    return "-" if value is None else str(value)
