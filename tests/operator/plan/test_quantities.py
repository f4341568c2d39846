"""Amounts of compute are compared as amounts: the API server writes them in its own way."""

from __future__ import annotations

from typing import Any

import pytest

from headrace_operator.plan import quantities
from headrace_operator.plan.drift import is_within
from tests.operator.plan import statuses

SAME = (
    *(("0.5", "500m"), ("0.05", "50m"), ("1000m", "1"), ("1.0", "1"), ("1e3", "1k"), ("2E3", "2k"), ("0.1m", "100u")),
    *(("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1000M", "1G"), ("0.5Ki", "512"), ("1Ei", "1152921504606846976")),
    *(("1.1m", "2m"), ("0.0000000001", "1m"), ("99999999999999999999", "9223372036854775807"), (1, "1"), (0.5, "500m")),
)
OTHERS = (("0.5", "501m"), ("1Gi", "1G"), ("500m", "500"), ("1", None), ("lots", "500m"), ("1", "one"))
WRITTEN: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"requests": {"cpu": "0.05"}}, {"cpu": "50m", "memory": "768Mi"}),
    ({"limits": {"memory": "2048Mi", "cpu": "1500m"}}, {"cpu": "1500m", "memory": "2Gi"}),
)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_amount_written_in_two_ways_is_the_same(one: object, other: object) -> None:
    assert quantities.are_equal(one, other)
    assert quantities.are_equal(other, one)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_amounts_differ(one: object, other: object) -> None:
    assert not quantities.are_equal(one, other)
    assert not quantities.are_equal(other, one)


@pytest.mark.case("clusters-9")
@pytest.mark.parametrize(("resources", "live"), WRITTEN)
def test_workers_are_not_applied_again_for_the_way_an_amount_is_written(
    resources: dict[str, Any], live: dict[str, Any]
) -> None:
    (part,) = resources
    spec = {"kafka": "kafka", "workers": {"resources": resources}}
    world = statuses.changed(statuses.WORLDS["ConnectCluster"](), spec=spec)
    world = statuses.acted(world, statuses.planned(world))
    (container,) = world.children.objects["Deployment", "main-connect"]["spec"]["template"]["spec"]["containers"]
    container["resources"][part] = live

    assert statuses.planned(world).actions == ()


def test_texts_elsewhere_are_compared_as_texts() -> None:
    assert not is_within({"data": {"limit": "0.5"}}, {"data": {"limit": "500m"}})
    assert not is_within({"resources": {"limits": {"cpu": "1"}}}, {"resources": {"limits": {"cpu": "2"}}})
    assert not is_within({"resources": {"limits": {"cpu": "1"}}}, {"resources": {"limits": {}}})
