"""What was written for the last release is taken by this one: within a version fields are added, and take more."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import yaml

from tests.cluster import fast
from tests.cluster.client import refusal
from tests.operator.api import promised

FIELDS: promised.Promises = json.loads(promised.FIELDS.read_text())
RESOURCES: list[dict[str, Any]] = list(yaml.safe_load_all(promised.RESOURCES.read_text()))
HOW = "a later release takes what an earlier one took (docs/versions.md)"


def test_no_field_takes_less_than_it_did() -> None:
    assert list(promised.narrowed(FIELDS, promised.fields())) == [], HOW


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"type": "string"}, None, "Sample.spec.a is gone"),
        ({"type": "string"}, {"type": "integer"}, "type was string, is integer"),
        ({"enum": ["A", "B"]}, {"enum": ["A"]}, "enum was ['A', 'B'], is ['A']"),
        ({}, {"enum": ["A"]}, "enum was None, is ['A']"),
        ({"maximum": 5}, {"maximum": 4}, "maximum was 5, is 4"),
        ({}, {"maxLength": 63}, "maxLength was None, is 63"),
        ({"minimum": 0}, {"minimum": 1}, "minimum was 0, is 1"),
        ({}, {"minItems": 1}, "minItems was None, is 1"),
        ({"pattern": "^a"}, {"pattern": "^b"}, "pattern was ^a, is ^b"),
        ({"required": ["a"]}, {"required": ["a", "b"]}, "required was ['a'], is ['a', 'b']"),
        ({}, {"format": "date-time"}, "format was None, is date-time"),
    ],
)
def test_what_takes_less_is_told(before: dict[str, Any], after: dict[str, Any] | None, said: str) -> None:
    now = {} if after is None else {"Sample.spec.a": after}

    (found,) = promised.narrowed({"Sample.spec.a": before}, now)

    assert found.endswith(said)


def test_what_takes_more_is_none() -> None:
    before: promised.Promises = {
        "Sample.spec.a": {"type": "string", "enum": ["A"], "maxLength": 5, "pattern": "^a", "required": ["b"]},
        "Sample.spec.b": {"type": "integer", "minimum": 2, "maximum": 5},
        "Sample.status.c": {"type": "string", "enum": ["A", "B"]},
    }
    after: promised.Promises = {
        "Sample.spec.a": {"type": "string", "enum": ["A", "B"], "maxLength": 6},
        "Sample.spec.b": {"type": "integer", "minimum": 1, "maximum": 6},
        "Sample.status.c": {"type": "string", "enum": ["A"]},
        "Sample.spec.d": {"type": "string", "required": ["e"]},
    }

    assert list(promised.narrowed(before, after)) == []


@pytest.mark.apiserver
@pytest.mark.parametrize("one", RESOURCES, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_what_was_taken_is_taken(server: fast.ApiServer, one: dict[str, Any]) -> None:
    """By all rules there are, those that compare fields included."""
    assert refusal(partial(server.client.create, one, "shop", dry=True)) == "", HOW
