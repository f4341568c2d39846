"""Whatever a user writes, wherever the operator was stopped: a world to which a plan was applied wants no action."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen, Rates
from headrace_operator.observed.kube import SecretSeen
from headrace_operator.plan import needs, outboxrelay
from headrace_operator.plan.conditions import timestamp
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.plan.specs import specs

FIGURE = st.integers(0, 200_000)
RATE = st.none() | st.floats(0, 5_000)


@st.composite
def consumers(draw: st.DrawFn) -> Any:
    """Worlds of a Consumer: any spec, any limits of replicas, any backlog, any rates, and what a replica can do."""
    least = draw(st.integers(1, 20))
    scale = {"min": least, "max": least + draw(st.integers(0, 20)), "targetLagSeconds": draw(st.integers(1, 600))}
    ends = draw(st.lists(FIGURE, min_size=12, max_size=12))
    parts = tuple(
        PartitionSeen(topic=worlds.TOPIC, partition=number, start=0, end=end, committed=end // 2, lag_seconds=end / 100)
        for number, end in enumerate(ends)
    )
    scaling = {"desired": least, "time": timestamp(worlds.NOW), "capacityPerReplica": draw(st.floats(1, 5_000))}
    return statuses.changed(
        worlds.with_status(worlds.consumer_world(), {"scaling": scaling}),
        spec={**draw(specs("Consumer")), "scale": scale},
        backlog=BacklogSeen(at=worlds.NOW, partitions=parts, dead_letters_total=3, dead_letters_outstanding=1),
        rates=Rates(arrivals=draw(RATE), handled=draw(RATE)),
        code=frozenset({"code.py"}),
    )


@st.composite
def connectors(draw: st.DrawFn) -> Any:
    """Worlds of a Connector: any spec, with the Secret that it names."""
    spec = draw(specs("Connector"))
    login = spec["postgres"]["credentials"]
    keys = frozenset({login.get("usernameKey") or "username", login.get("passwordKey") or "password"})
    secrets = {login["secret"]: SecretSeen(name=login["secret"], keys=keys)}
    return statuses.changed(worlds.connector_world(), spec=spec, secrets=secrets)


def connect_clusters() -> st.SearchStrategy[Any]:
    """Return worlds of a ConnectCluster: any spec, with the Secrets that protect its REST interface."""
    return specs("ConnectCluster").map(worlds.protected_world)


@st.composite
def outbox_relays(draw: st.DrawFn) -> Any:
    """Worlds of an OutboxRelay: any spec, with the Secrets of its database."""
    spec = draw(specs("OutboxRelay"))
    judged = outboxrelay.judge(worlds.resource("OutboxRelay", "parcels", spec)).spec
    keys = needs.database_keys(judged.database) if judged else ()
    known = frozenset(key for _, key in keys)
    secrets = {name: SecretSeen(name=name, keys=known) for name, _ in keys}
    return statuses.changed(worlds.outbox_relay_world(), spec=spec, secrets=secrets)


WORLDS = {
    "Consumer": consumers(),
    "Connector": connectors(),
    "ConnectCluster": connect_clusters(),
    "OutboxRelay": outbox_relays(),
}


@pytest.mark.parametrize("kind", WORLDS)
@given(data=st.data())
@settings(max_examples=20)
def test_a_plan_that_was_applied_leaves_nothing_to_do(kind: str, data: st.DataObject) -> None:
    """Also when it was applied in two goes, with a crash at any place between."""
    world = data.draw(WORLDS[kind])
    first = statuses.planned(world)
    crashed = statuses.acted(world, first, data.draw(st.integers(0, len(first.actions))))

    after = statuses.acted(crashed, statuses.planned(crashed))
    last = statuses.planned(after)

    assert last.actions == ()
    assert statuses.planned(worlds.with_status(after, last.status)).status == last.status


@pytest.mark.parametrize("kind", WORLDS)
@given(data=st.data())
@settings(max_examples=20)
def test_so_does_the_plan_of_an_edit(kind: str, data: st.DataObject) -> None:
    """From what one spec made to what another wants: one plan, applied, and nothing is left; of workers two."""
    before, wanted = data.draw(WORLDS[kind]), data.draw(WORLDS[kind])
    made = statuses.acted(before, statuses.planned(before))
    edited = statuses.changed(made, spec=wanted.resource.spec, generation=2)
    if kind in ("Connector", "ConnectCluster"):
        edited = dataclasses.replace(edited, secrets={**before.secrets, **wanted.secrets})

    after = statuses.acted(edited, statuses.planned(edited))
    if kind == "ConnectCluster":  # which are brought to exactlyOnce in two rollouts
        after = statuses.acted(after, statuses.planned(after))

    assert statuses.planned(after).actions == ()
