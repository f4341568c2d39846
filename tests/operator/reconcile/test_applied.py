"""What the API server keeps of the objects that were applied, written in its own way, wants no second Apply."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from headrace_operator.clients.errors import Invalid
from headrace_operator.observed.kube import Manifest
from headrace_operator.plan import names
from headrace_operator.plan.actions import Action, Apply
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.plan import statuses
from tests.operator.plan.test_settled import WORLDS

pytestmark = pytest.mark.apiserver

KINDS = ("ConnectCluster", "Consumer")
SEEN = (
    {"requests": {"cpu": "0.05", "memory": "640Mi"}, "limits": {"memory": "1024Mi"}},
    {"limits": {"cpu": "1000m", "memory": "1.5Gi"}},
)
NUMBERS = st.from_regex(r"[1-9][0-9]{0,3}(\.[0-9]{1,4})?", fullmatch=True)
UNITS = {"cpu": ("", "m"), "memory": ("", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti")}
AMOUNTS = st.fixed_dictionaries(
    {name: st.tuples(NUMBERS, st.sampled_from(units)).map("".join) for name, units in UNITS.items()}
)


async def left(server: ApiServer, world: Any) -> tuple[Action, ...]:
    """Return what is left to do after a plan was applied; raises `Invalid` when the API server refuses it."""
    made = [action.manifest for action in statuses.planned(world).actions if isinstance(action, Apply)]
    async with loops.looping(server) as loop:
        for manifest in made:
            await loop.remote.kube.apply(manifest)
        seen = {name: await loops.held(loop.remote.kube, part) for name, part in parts(made).items()}
    after = statuses.planned(dataclasses.replace(world, **seen))
    return tuple(action for action in after.actions if isinstance(action, Apply))


def parts(made: list[Manifest]) -> dict[str, list[Manifest]]:
    """Return objects by the part of a world that has them: those of an agent are apart."""
    agents = [one for one in made if one["metadata"]["name"] == names.agent_child("main")]
    return {"children": [one for one in made if one not in agents], **({"agent": agents} if agents else {})}


def with_resources(resources: dict[str, Any]) -> Any:
    """Return a ConnectCluster whose workers have these amounts."""
    spec = {"kafka": "kafka", "workers": {"resources": resources}}
    return statuses.changed(statuses.WORLDS["ConnectCluster"](), spec=spec)


@pytest.mark.case("clusters-9")
@pytest.mark.parametrize("resources", SEEN)
async def test_amounts_that_come_back_otherwise_are_the_same(server: ApiServer, resources: dict[str, Any]) -> None:
    assert await left(server, with_resources(resources)) == ()


@pytest.mark.case("clusters-9")
@given(amounts=AMOUNTS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_so_are_amounts_of_any_notation(server: ApiServer, amounts: dict[str, str]) -> None:
    """A limit is a request as well, so that no request is above its limit."""
    assert not asyncio.run(_left_or_refused(server, with_resources({"requests": amounts, "limits": amounts})))


@pytest.mark.case("clusters-18")
@pytest.mark.parametrize("auth", [None, {"credentials": {"secret": "login", "passwordKey": "pass"}}])
async def test_so_is_what_a_protected_rest_interface_brings(server: ApiServer, auth: dict[str, Any] | None) -> None:
    """A volume of several sources, and probes over TLS or of a port alone."""
    rest = {"tls": {"secret": "certificate"}, **({"auth": auth} if auth else {})}
    world = worlds.protected_world({"kafka": "kafka", "workers": {}, "rest": rest})

    assert any(isinstance(action, Apply) for action in statuses.planned(world).actions)
    assert await left(server, world) == ()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_object_of_any_spec_is_applied_again(server: ApiServer, kind: str, data: st.DataObject) -> None:
    assert not asyncio.run(_left_or_refused(server, data.draw(WORLDS[kind])))


async def _left_or_refused(server: ApiServer, world: Any) -> tuple[Action, ...]:
    try:
        return await left(server, world)
    except Invalid:
        assume(False)
        raise
