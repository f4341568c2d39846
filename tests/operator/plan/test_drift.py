"""Whose a difference between what was applied and what is there is: admission's is left, anybody else's is put back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from headrace_operator.plan.actions import Apply
from tests.operator.plan import statuses
from tests.operator.plan.mutations import MUTATIONS, Patch

pytestmark = pytest.mark.case("clusters-9")

Json = dict[str, Any]
KEYED = {
    "containers": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
AT = ("Deployment", "billing-consumer")
ADDED = {"a sidecar", "a sidecar before ours", "an init container", "tolerations", "a proxy", "limits", "nodes"}
ADDED |= {"a credential of the mirror", "authorities of the company", "a class of priority", "labels and annotations"}
"""Mutations that change nothing of ours, so that they are left whoever made them."""


def owned(part: Any, name: str = "") -> Json:
    """Return the FieldsV1 of all that was applied."""
    if isinstance(part, dict):
        return {f"f:{key}": owned(value, key) for key, value in part.items()}
    if isinstance(part, list) and name in KEYED:
        return {f"k:{json.dumps({key: one[key] for key in KEYED[name]})}": {".": {}, **owned(one)} for one in part}
    return {}


def patched(live: Json, patch: Patch) -> Json:
    """Return the object after a JSON Patch of additions."""
    live = copy.deepcopy(live)
    for change in patch:
        *path, last = (part.replace("~1", "/") for part in change["path"].split("/")[1:])
        found: Any = live
        for key in path:
            found = found[int(key)] if isinstance(found, list) else found[key]
        if isinstance(found, list):
            found.insert(len(found) if last == "-" else int(last), change["value"])
        else:
            found[last] = change["value"]
    return live


def left(patch: Patch, *, by_admission: bool) -> Iterator[str]:
    """Yield the kinds that are applied again after somebody changed the Deployment so."""
    world = statuses.settled("Consumer")
    live = dict(world.children.objects[AT])
    if by_admission:
        entry = {"manager": "headrace", "operation": "Apply", "fieldsV1": owned({"spec": live["spec"]})}
        live["metadata"] = {**live["metadata"], "managedFields": [entry]}
    world.children.objects[AT] = patched(live, patch)
    return (one.manifest["kind"] for one in statuses.planned(world).actions if isinstance(one, Apply))


@pytest.mark.parametrize("what", MUTATIONS)
def test_what_admission_did_is_left(what: str) -> None:
    assert list(left(MUTATIONS[what], by_admission=True)) == []


@pytest.mark.parametrize("what", MUTATIONS)
def test_what_anybody_else_did_to_ours_is_put_back(what: str) -> None:
    assert list(left(MUTATIONS[what], by_admission=False)) == ([] if what in ADDED else ["Deployment"])
