"""Clusters whose pods have no address of IPv4: what the operator asks of a pod."""

from __future__ import annotations

import dataclasses

import pytest
from aiohttp import web

from tests.fakes import connect as fakes
from tests.operator.loops import answering
from tests.operator.reconcile.test_connector_life import PAGE, POD, Life, life

__all__ = ["life"]


@pytest.mark.parametrize("told", ["[::1]:8083", "::1:8083"])
async def test_the_lag_is_asked_of_a_worker_with_an_address_of_ipv6(
    life: Life, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    """Kafka Connect tells it with brackets, as it stands in addresses of services, and the pod has it without."""
    monkeypatch.setattr(fakes, "WORKER", told)
    life.shelf.made = dataclasses.replace(life.shelf.made, pods=(dataclasses.replace(POD, ip="::1"),))

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    async with answering(page, "::1", int(life.fake.url.rpartition(":")[2])):
        await life.look(3)

    assert life.status["lagSeconds"] == 3
