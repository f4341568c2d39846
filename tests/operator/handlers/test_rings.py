"""Whom an event rings: itself and those that read it, and not the hundreds that do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from headrace_operator.handlers.rings import Rings
from headrace_operator.reconcile.turns import Key

SPECS: dict[tuple[str, str], Mapping[str, Any]] = {
    ("KafkaConnection", "kafka"): {"bootstrapServers": "kafka:9092"},
    ("KafkaConnection", "other"): {"bootstrapServers": "other:9092"},
    ("ConnectCluster", "main"): {"kafka": "kafka"},
    ("ConnectCluster", "second"): {"kafka": "other"},
    ("Connector", "orders"): {"connect": "main"},
    ("Connector", "parts"): {"connect": "second"},
    ("Consumer", "billing"): {"from": {"connector": "orders", "routes": ["order"]}},
    ("Consumer", "stock"): {"from": {"connector": "parts", "routes": ["part"]}},
    ("Consumer", "plain"): {"from": {"kafka": "kafka", "topics": ["t"]}},
    ("Snapshot", "earlier"): {"connector": "orders", "tables": ["public.a"]},
    ("Snapshot", "of-parts"): {"connector": "parts", "tables": ["public.a"]},
}


def body(kind: str, name: str, generation: int = 1) -> dict[str, Any]:
    """Return an object as an event brings it."""
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": name, "generation": generation},
        "spec": SPECS[kind, name],
    }


def rung(kind: str, name: str, *, deleted: bool = False) -> set[str]:
    """Return whom an edit, or the end, of one of `SPECS` rings."""
    heard: list[Key] = []
    rings = Rings(lambda key, _: heard.append(key))
    for known in SPECS:
        rings.resource(known[0], body(*known), deleted=False)
    heard.clear()
    rings.resource(kind, body(kind, name, 2), deleted=deleted)
    return {f"{key.kind}/{key.name}" for key in heard}


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize(
    ("kind", "name", "others"),
    [
        ("Connector", "orders", {"ConnectCluster/main", "Consumer/billing", "Snapshot/earlier"}),
        ("Snapshot", "earlier", {"Connector/orders"}),
        ("ConnectCluster", "main", {"Connector/orders", "Consumer/billing", "Consumer/stock"}),
        (
            "KafkaConnection",
            "kafka",
            {"ConnectCluster/main", "Consumer/plain", "Consumer/billing", "Consumer/stock"},
        ),
        ("Consumer", "plain", set()),
    ],
)
def test_those_are_rung_that_read_it_or_may(kind: str, name: str, others: set[str], deleted: bool) -> None:
    """A Consumer of a Connector may read any ConnectCluster and KafkaConnection, by way of that."""
    assert rung(kind, name, deleted=deleted) == {f"{kind}/{name}", *others}


def test_what_is_gone_is_remembered_of_no_namespace() -> None:
    """Namespaces come and go for years; what one held is not kept, and one of the same name begins anew."""
    heard: list[Key] = []
    rings = Rings(lambda key, _: heard.append(key))
    before = [len(one) for one in vars(rings).values() if isinstance(one, dict)]
    for deleted in (False, True):
        for known in SPECS:
            rings.resource(known[0], body(*known), deleted=deleted)

    assert [len(one) for one in vars(rings).values() if isinstance(one, dict)] == before == [0, 0]
    heard.clear()
    rings.resource("Connector", body("Connector", "orders"), deleted=False)
    assert heard == [Key("Connector", "shop", "orders")]


def test_a_status_that_somebody_else_wrote_does_not_lose_an_event() -> None:
    """A condition needs a type and a status; with the event its resource was lost, also for a new operator."""
    heard: list[Key] = []
    strange = body("Consumer", "plain") | {"status": {"conditions": [{"type": "Strange", "status": "True"}]}}

    Rings(lambda key, _: heard.append(key)).resource("Consumer", strange, deleted=False)

    assert heard == [Key("Consumer", "shop", "plain")]
