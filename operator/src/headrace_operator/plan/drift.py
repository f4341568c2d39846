"""Whether a live object is what was applied: what others added is theirs, and what admission changed as well.

The API server keeps in `managedFields` whose each field is. Who changes a field later takes it over; what admission
changes while an object is applied stays the applier's. So a field of ours that differs was changed by the cluster
itself, as it would be again, and is left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headrace_operator.observed.kube import Manifest
from headrace_operator.plan import quantities

MANAGER = "headrace"
AMOUNTS, AMOUNT = frozenset({"limits", "requests"}), "sizeLimit"
"""Fields whose values are amounts, or that are one, which the API server writes in its own way."""

KEYS = {
    "containers": ("name",),
    "env": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Lists whose items are known by these fields, so that others may add theirs; any other list is one value."""

Fields = Mapping[str, Any]
"""What of a part of an object is whose, in the notation of `managedFields`: the API server's FieldsV1."""


def ours(live: Manifest) -> Fields | None:
    """Return which fields of an object are those that we applied; None when it does not say."""
    entries = (live.get("metadata") or {}).get("managedFields") or ()
    applied = (one for one in entries if one.get("manager") == MANAGER and one.get("operation") == "Apply")
    return next((one.get("fieldsV1") for one in applied if not one.get("subresource")), None)


def within(fields: Fields | None, *path: str) -> Fields | None:
    """Return which fields below `path` are ours."""
    for name in path:
        fields = None if fields is None else fields.get(f"f:{name}")
    return fields


def is_within(wanted: Any, live: Any, fields: Fields | None = None, name: str = "") -> bool:
    """Tell whether `live`, the field `name`, holds all of `wanted`, but for what is ours (`fields`) and differs.

    What others added does not count, and an empty list may be null.
    """
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(_has(live, key, value, fields) for key, value in wanted.items())
    if isinstance(wanted, list) and name in KEYS:
        return isinstance(live, list) and all(_has_item(live, one, KEYS[name], fields) for one in wanted)
    if isinstance(wanted, list):
        same = isinstance(live, list) and len(live) == len(wanted) and all(map(is_within, wanted, live))
        return same or fields is not None
    return bool(wanted == live) or fields is not None


def _has(live: Mapping[str, Any], key: str, wanted: Any, fields: Fields | None) -> bool:
    there = live.get(key)
    if there == wanted:
        return True
    own = within(fields, key)
    if there is None:
        return wanted in ({}, []) or own is not None
    if key in AMOUNTS and isinstance(wanted, Mapping) and isinstance(there, Mapping):
        return all(_is_amount(value, there.get(name), within(own, name)) for name, value in wanted.items())
    if key == AMOUNT:
        return _is_amount(wanted, there, own)
    return is_within(wanted, there, own, key)


def _is_amount(wanted: Any, live: Any, fields: Fields | None) -> bool:
    return quantities.are_equal(wanted, live) or fields is not None


def _has_item(live: list[Any], wanted: Mapping[str, Any], keys: tuple[str, ...], fields: Fields | None) -> bool:
    """Tell whether the item that has the keys of `wanted` is as wanted; one that is gone and ours was taken out."""
    there = next((one for one in live if all(one.get(key) == wanted.get(key) for key in keys)), None)
    own = _item(fields, wanted if there is None else there)
    return own is not None if there is None else is_within(wanted, there, own)


def _item(fields: Fields | None, item: Mapping[str, Any]) -> Fields | None:
    """Return which fields of an item are ours: the API server names it by the values of its keys."""
    named = ((key.removeprefix("k:"), own) for key, own in (fields or {}).items() if key.startswith("k:"))
    found = (own for key, own in named if json.loads(key).items() <= item.items())
    return next(found, None)
