"""The plan of each example is the one that was looked at and committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace_operator.api.kinds import KINDS
from headrace_operator.plan import assumed
from headrace_operator.plan.actions import CreateTopic
from headrace_operator.reconcile import preview
from tests.operator import worlds
from tests.operator.plan import golden

HOW = "look at it, then: python -m tests.operator.plan.golden"


@pytest.mark.parametrize("example", golden.EXAMPLES, ids=lambda path: path.name)
def test_the_plan_of_an_example_is_the_committed_one(example: Path) -> None:
    committed = golden.GOLDEN / example.name

    assert committed.exists(), f"{example.name} is new: {HOW}"
    assert golden.text(example) == committed.read_text(), HOW
    assert golden.told(example) == committed.with_suffix(".txt").read_text(), HOW


def test_every_golden_plan_is_of_an_example() -> None:
    assert {path.stem for path in golden.GOLDEN.iterdir()} == {path.stem for path in golden.EXAMPLES}


def test_every_kind_has_an_example() -> None:
    assert {resource.kind for path in golden.EXAMPLES for resource, _ in golden.plans(path)} == {
        kind.name for kind in KINDS
    }


def test_names_are_those_that_the_example_of_a_named_cluster_tells() -> None:
    """Of its group and of its own topics; the topic that it reads is another cluster's, and stays as it is written."""
    text = (golden.ROOT / "operator/examples/shared-kafka.yaml").read_text()
    (one,) = preview.resources(text, "shop", "east")

    plan = assumed.plan(one, {("KafkaConnection", "kafka"): worlds.KAFKA}, worlds.SETTINGS, worlds.NOW)

    assert plan.status["group"] == "headrace.east.shop.returns"
    assert {action.topic for action in plan.actions if isinstance(action, CreateTopic)} == {
        "retry.east.shop.returns", "dlq.east.shop.returns", "dlq.east.shop.returns.resolutions",
    }  # fmt: skip
    assert '"west.shop.orders-db.outbox.return"' in str(plan.actions)
