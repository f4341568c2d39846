"""Where a spec names Secrets, found by how fields are called, so that no field is forgotten. Pure.

A Secret is named by a text called ``secret…``, or by the ``name`` in what is called so, as in Kubernetes' own shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NO_NAMES = frozenset({"secretReference"})
"""Fields that are called so and say how any Secret is named, not one."""


def slots(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield where below a node of a schema the name of a Secret may stand, as ``tls.ca.secret`` or ``env[].name``."""
    for name, child in (schema.get("properties") or {}).items():
        at = f"{path}.{name}".removeprefix(".")
        node, at = (child["items"], f"{at}[]") if child.get("type") == "array" else (child, at)
        if node.get("type") == "string" and _is_named(name, path.rpartition(".")[2]):
            yield at
        yield from slots(node, at)


def named(part: Any, above: str = "") -> Iterator[str]:
    """Yield the names of Secrets that stand in a part of a spec, as JSON; it may be no valid one."""
    if isinstance(part, list | tuple):
        for one in part:
            yield from named(one, above)
    elif isinstance(part, Mapping):
        for name, value in part.items():
            if isinstance(value, str) and _is_named(name, above):
                yield value
            yield from named(value, name)


def _is_named(name: str, above: str) -> bool:
    return (name.startswith("secret") and name not in NO_NAMES) or (name == "name" and "secret" in above.lower())
