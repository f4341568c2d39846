"""What a release promises of its definitions: what may be written into each field, and resources that are taken.

``python -m tests.operator.api.promised`` writes it to tests/golden/promised, at each release and not in between.
Fields of a status are promised by name and type alone, as nobody writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import API_VERSION
from tests.operator.plan import golden, leaves

Json = dict[str, Any]
Promises = Mapping[str, Json]
"""What is said of each field, by its kind and path."""

FOLDER = golden.ROOT / "tests/golden/promised"
FIELDS, RESOURCES = FOLDER / "fields.json", FOLDER / "resources.yaml"
LEAST, MOST = ("minimum", "minLength", "minItems"), ("maximum", "maxLength", "maxItems", "maxProperties")
SAID = ("type", "format", "enum", "pattern", "required", *LEAST, *MOST)


def nodes(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield each node of a schema with its path, those of items and of values as ``[]``."""
    yield path, node
    for name, child in (node.get("properties") or {}).items():
        yield from nodes(child, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(node.get(name), dict):
            yield from nodes(node[name], f"{path}[]")


def fields() -> Promises:
    """Return what the definitions of now say of each field."""
    return {
        f"{kind.name}{path}": {word: node[word] for word in SAID if word in node}
        for kind in KINDS
        for path, node in nodes(crd.schema(kind))
        if path.startswith((".spec", ".status"))
    }


def resources() -> list[Json]:
    """Return the resources of all examples, and of each kind those that have all of its fields."""
    kinds = {kind.name for kind in KINDS}
    shown = [one for path in golden.EXAMPLES for one in yaml.safe_load_all(path.read_text()) if one["kind"] in kinds]
    whole = [
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": f"whole-{number}"}, "spec": spec}
        for kind, specs in leaves.SPECS.items()
        for number, spec in enumerate(specs)
    ]
    return [*shown, *whole]


def narrowed(before: Promises, after: Promises) -> Iterator[str]:
    """Say which fields take less than they did, and how."""
    for field, was in before.items():
        if field not in after:
            yield f"{field} is gone"
            continue
        said = after[field]
        words = SAID if ".spec" in field else ("type",)
        yield from (
            f"{field}: {word} was {was.get(word)}, is {said.get(word)}" for word in words if _less(word, was, said)
        )


def _less(word: str, was: Json, said: Json) -> bool:
    before, after = was.get(word), said.get(word)
    match word:
        case "type":
            return before != after
        case "required":
            return not set(after or ()) <= set(before or ())
        case "enum":
            return after is not None and (before is None or not set(before) <= set(after))
        case _ if word in LEAST:
            return after is not None and after > (before or 0)
        case _ if word in MOST:
            return after is not None and (before is None or after < before)
        case _:
            return after is not None and before != after


def _lines(found: Promises) -> str:
    """Return JSON with a line for each field, so that a difference is read at a glance."""
    return "{\n" + ",\n".join(f"{json.dumps(field)}: {json.dumps(said)}" for field, said in found.items()) + "\n}\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    FIELDS.write_text(_lines(fields()))
    RESOURCES.write_text(yaml.safe_dump_all(json.loads(json.dumps(resources())), sort_keys=False, width=120))
