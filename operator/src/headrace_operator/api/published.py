"""The kinds as JSON schemas, for editors and for checks without a cluster, which read no CustomResourceDefinition.

They are the definitions' own, and refuse a field that is not known; CEL rules have no words there. Files have the
names that kubeconform and the CRDs-catalog of datreeio ask for. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headrace_operator.api import crd
from headrace_operator.api.kind import Kind
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import API_VERSION, VERSION

ANYTHING = "x-kubernetes-preserve-unknown-fields"


def files() -> dict[str, str]:
    """Return a JSON schema for each kind, by the name of its file."""
    return {f"{kind.name.lower()}_{VERSION}.json": json.dumps(_schema(kind), indent=1) + "\n" for kind in KINDS}


def _schema(kind: Kind) -> dict[str, Any]:
    made = _strict(crd.schema(kind))
    own = made["properties"]
    own["apiVersion"]["enum"], own["kind"]["enum"] = [API_VERSION], [kind.name]
    del own["metadata"]["additionalProperties"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **made,
        "required": ["apiVersion", "kind", "metadata", "spec"],
    }


def _strict(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema without Kubernetes' own words, where objects have no other properties than are told."""
    made = {word: said for word, said in node.items() if not word.startswith("x-kubernetes-")}
    if "properties" in node:
        made["properties"] = {name: _strict(child) for name, child in node["properties"].items()}
        made["additionalProperties"] = ANYTHING in node
    for word in ("items", "additionalProperties"):
        if isinstance(node.get(word), Mapping):
            made[word] = _strict(node[word])
    return made
