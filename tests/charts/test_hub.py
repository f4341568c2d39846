"""What Artifact Hub is told of the charts is what they are: no drift from the models and the examples."""

from __future__ import annotations

import pytest
import yaml

from headrace_operator.api import crd
from tests.charts import hub
from tests.charts.rendering import CHARTS


@pytest.mark.parametrize("chart", ["headrace", "headrace-crds"])
def test_annotations_are_those_of_the_code(chart: str) -> None:
    """`python -m tests.charts.hub` writes them."""
    written = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())

    assert written["annotations"] == hub.told()[chart]


def test_every_definition_is_told_and_has_an_example() -> None:
    told = hub.told()["headrace-crds"]
    kinds, examples = (yaml.safe_load(told[f"artifacthub.io/{name}"]) for name in ("crds", "crdsExamples"))
    made = {one["metadata"]["name"]: one["spec"]["names"]["kind"] for one in crd.manifests()}

    assert {one["name"]: one["kind"] for one in kinds} == made
    assert sorted(one["kind"] for one in examples) == sorted(made.values())
    assert all(one["description"].endswith(".") for one in kinds)
