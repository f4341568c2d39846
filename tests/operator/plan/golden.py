"""The plans of the examples, as text: what a first pass would do to a cluster where everything they name exists.

``python -m tests.operator.plan.golden`` writes them to tests/golden/plans; the test beside it compares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from headrace_operator.observed.kube import Resource
from headrace_operator.plan import assumed
from headrace_operator.plan.actions import Plan
from headrace_operator.reconcile import preview
from tests.operator import worlds

ROOT = Path(__file__).parents[3]
EXAMPLES = tuple(sorted((ROOT / "operator/examples").glob("*.yaml")))
GOLDEN = ROOT / "tests/golden/plans"


def plans(path: Path) -> Iterator[tuple[Resource, Plan]]:
    """Plan each resource of one example, in its order, as ``headrace-operator plan --offline`` does.

    A later example builds on the resources of the others.
    """
    every = {(one.kind, one.name): one for each in EXAMPLES for one in preview.resources(each.read_text(), "shop")}
    for one in preview.resources(path.read_text(), "shop"):
        yield one, assumed.plan(one, every, worlds.SETTINGS, worlds.NOW)


def text(path: Path) -> str:
    """Return the plans of one example as YAML: the actions, then the conditions of each resource."""
    return yaml.safe_dump_all(
        [
            {
                "of": f"{one.kind}/{one.name}",
                "actions": [_action(action) for action in plan.actions],
                "conditions": [f"{c['type']}={c['status']} {c['reason']}" for c in plan.status["conditions"]],
            }
            for one, plan in plans(path)
        ],
        sort_keys=False,
        width=120,
    )


def told(path: Path) -> str:
    """Return the plans of one example as ``headrace-operator plan`` prints them."""
    return preview.text(tuple(plans(path)))


def _action(action: Any) -> dict[str, Any]:
    return {type(action).__name__: _plain(dataclasses.asdict(action))}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for example in EXAMPLES:
        (GOLDEN / example.name).write_text(text(example))
        (GOLDEN / example.name).with_suffix(".txt").write_text(told(example))
