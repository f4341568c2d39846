"""Objects that Headrace makes: how they are marked, whose a live one is, and whether it is what it should be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from headrace_operator.api.schema import API_VERSION
from headrace_operator.observed.kube import Children, Manifest, Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import drift
from headrace_operator.plan.actions import Apply
from headrace_operator.plan.conditions import Finding, false
from headrace_operator.plan.reasons import Reason

APPLIED = "headrace.dev/applied"


def child(
    owner: Resource, api_version: str, kind: str, name: str, body: Mapping[str, Any], component: str = ""
) -> dict[str, Any]:
    """Return an object owned by `owner`, with our own labels only, and a hash of what it shall be.

    `component` is what stands beside that which is named after the owner's kind.
    """
    manifest = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": labels(owner, component),
            "ownerReferences": [_reference(owner)],
        },
        **body,
    }
    manifest["metadata"]["annotations"] = {APPLIED: digest(manifest)}
    return manifest


def labels(owner: Resource, component: str = "") -> dict[str, str]:
    """Return the labels of everything made for `owner`; its own labels are never copied."""
    pipeline = owner.labels.get("headrace.dev/pipeline")
    return {
        **selector(owner, component),
        "app.kubernetes.io/managed-by": "headrace",
        "app.kubernetes.io/name": f"headrace-{component or _component(owner)}",
    } | ({"headrace.dev/pipeline": pipeline} if pipeline else {})


def selector(owner: Resource, component: str = "") -> dict[str, str]:
    """Return the labels that select the pods of `owner`."""
    return {"app.kubernetes.io/instance": owner.name, f"headrace.dev/{component or _component(owner)}": owner.name}


def _component(owner: Resource) -> str:
    return owner.kind.removesuffix("Cluster").removeprefix("Outbox").lower()


def digest(content: Any) -> str:
    """Return a short hash of JSON content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def taken(owner: Resource, children: Children | Unknown) -> Finding | None:
    """Say which object, called as one of `owner`'s shall be, `owner` does not control: it is never applied over."""
    if isinstance(children, Unknown):
        return None
    for (kind, name), live in sorted(children.objects.items()):
        if not controls(owner, live):
            text = (
                f"{kind} {name} is there and does not belong to this {owner.kind}, so nothing is applied: "
                f"delete that {kind}, or give this {owner.kind} another name."
            )
            return false("Deployed", Reason.NAME_TAKEN, text)
    return None


def is_taken(status: Mapping[str, Any]) -> bool:
    """Tell whether a plan's status says that a name is somebody else's."""
    return any(one["reason"] == Reason.NAME_TAKEN for one in status.get("conditions") or ())


def own_deployment(owner: Resource, name: str, children: Children | Unknown) -> Manifest | None:
    """Return the Deployment `name` when it is there and `owner` controls it."""
    live = None if isinstance(children, Unknown) else children.objects.get(("Deployment", name))
    return live if live is not None and controls(owner, live) else None


def applies(wanted: Iterable[Manifest], children: Children) -> tuple[Apply, ...]:
    """Return an Apply for each object that is missing, or that is not what it should be."""
    pairs = ((one, children.objects.get((one["kind"], one["metadata"]["name"]))) for one in wanted)
    return tuple(Apply(manifest=_pinned(one, live)) for one, live in pairs if not is_as_wanted(one, live))


def is_as_wanted(wanted: Manifest, live: Manifest | None) -> bool:
    """Tell whether `live` was applied from `wanted` and nobody but admission changed a field since."""
    if live is None:
        return False
    annotations = live.get("metadata", {}).get("annotations") or {}
    return annotations.get(APPLIED) == wanted["metadata"]["annotations"][APPLIED] and drift.is_within(
        wanted, live, drift.ours(live)
    )


def controls(owner: Resource, live: Manifest) -> bool:
    """Tell whether `owner`, and no namesake of it, is the controller of a live object."""
    references = live["metadata"].get("ownerReferences") or ()
    return any(one.get("controller") and one["uid"] == owner.uid for one in references)


def _pinned(wanted: Manifest, live: Manifest | None) -> Manifest:
    """Return `wanted` for this very `live` object: the API server refuses it for one made anew meanwhile."""
    if live is None:
        return wanted
    return {**wanted, "metadata": {**wanted["metadata"], "uid": live["metadata"]["uid"]}}


def _reference(owner: Resource) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": True}
