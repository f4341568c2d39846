"""The generated definitions: structural, described to every leaf, without defaults that cause drift."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.properties import CONNECTOR_SECRETS, TUNING, WORKER_SECRETS
from tests.operator.api.promised import nodes

ROOT = Path(__file__).parents[3]
SCHEMAS = [(kind.name, crd.schema(kind)) for kind in KINDS]


@pytest.mark.parametrize(("kind", "schema"), SCHEMAS)
def test_every_node_is_described_in_a_sentence(kind: str, schema: dict[str, Any]) -> None:
    for path, node in nodes(schema):
        if not path.startswith(".metadata"):
            description = node.get("description", "")
            assert len(description.split()) >= 3, f"{kind}{path}"
            assert description.endswith("."), f"{kind}{path}"


@pytest.mark.parametrize(("kind", "schema"), SCHEMAS)
def test_specs_have_no_defaults_and_nothing_unstructured(kind: str, schema: dict[str, Any]) -> None:
    for path, node in nodes(schema):
        assert not {"$ref", "anyOf", "allOf", "title"} & set(node), f"{kind}{path}"
        assert "default" not in node or path in (".status", ".status.observedGeneration"), f"{kind}{path}"


@pytest.mark.parametrize(("kind", "schema"), SCHEMAS)
def test_a_new_object_is_in_progress_until_it_was_observed(kind: str, schema: dict[str, Any]) -> None:
    assert schema["properties"]["status"]["default"] == {"observedGeneration": -1}, kind


@pytest.mark.parametrize(("kind", "schema"), SCHEMAS)
def test_every_rule_speaks_to_the_user(kind: str, schema: dict[str, Any]) -> None:
    for path, node in nodes(schema):
        for rule in node.get("x-kubernetes-validations", ()):
            assert re.match(r"^[a-z].{10,}[^.]$", rule["message"]), f"{kind}{path}"


def test_the_committed_chart_is_what_the_models_make() -> None:
    for name, text in crd.files().items():
        assert (ROOT / "charts/headrace-crds/templates" / name).read_text() == text, "run make generate"


def test_every_definition_is_kept_on_uninstall_and_in_the_category() -> None:
    for manifest in crd.manifests():
        assert manifest["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert manifest["spec"]["names"]["categories"] == ["headrace"]
        assert yaml.safe_load(yaml.safe_dump(manifest)) == manifest


def test_the_docs_list_every_property_that_tunes() -> None:
    text, workers = (ROOT / "docs/kafka-connection.md").read_text().split("Kafka Connect's workers have their own")

    assert sorted(set(re.findall(r"`([a-z.]+\.[a-z.]+)`", text))) == sorted(TUNING)
    told = set(re.findall(r"`([a-z.]+)`", workers))
    assert {name.removeprefix("signal.consumer.") for name in CONNECTOR_SECRETS} <= told
    assert {re.sub(r"^(producer|consumer|admin)\.", "", name) for name in WORKER_SECRETS} <= told
