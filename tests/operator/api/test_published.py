"""The kinds as JSON schemas: they are what the models make, and the tool that the page names judges by them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from headrace_operator.api import published
from tests.cluster import program
from tests.operator.api import promised
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "operator/schemas"
PAGE = (ROOT / "docs/gitops.md").read_text()
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform"


def test_what_is_published_is_what_the_models_make() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == published.files(), "run make generate"


@pytest.mark.parametrize("one", promised.resources(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_whole_resources_are_taken_and_a_typo_is_refused(one: dict[str, Any]) -> None:
    """Examples, and specs with all fields there are."""
    schema = jsonschema.Draft7Validator(json.loads(published.files()[f"{one['kind'].lower()}_v1alpha1.json"]))

    assert [error.message for error in schema.iter_errors(one)] == []
    assert not schema.is_valid({**one, "spec": {**one["spec"], "sclae": {}}})


@pytest.mark.slow
def test_kubeconform_takes_the_examples_and_says_what_is_wrong_with_another(tmp_path: Path) -> None:
    """By the command of the page, and with one file more."""
    (command,) = re.findall(r"^kubeconform .*$", PAGE, re.MULTILINE)
    wrong = tmp_path / "wrong.yaml"
    spec = {
        "from": {"kafka": "kafka", "topics": ["orders"]},
        "handler": {"http": {"url": "http://a"}},
        "scale": {"min": -1},
    }
    made = {"apiVersion": "headrace.dev/v1alpha1", "kind": "Consumer", "metadata": {"name": "a"}, "spec": spec}
    wrong.write_text(yaml.safe_dump_all([made, {**made, "spec": {**spec, "scale": {"mix": 1}}}]))

    taken, refused = _kubeconform(command), _kubeconform(f"{command} {wrong}")

    assert (taken.returncode, taken.stdout) == (0, "")
    assert refused.returncode == 1
    assert "/spec/scale/min" in refused.stdout
    assert "'mix' not allowed" in refused.stdout


def _kubeconform(command: str) -> subprocess.CompletedProcess[str]:
    tool, *words = shlex.split(command)
    files = [str(path) for word in words for path in (sorted(ROOT.glob(word)) if "*" in word else [word])]
    made = program.ensure(ROOT / "tests/charts" / "conform", KUBECONFORM)
    assert tool == "kubeconform"
    return subprocess.run([made, *files], cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
