"""What is said of publications, slots and keys, and which Connector may have what two of them name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.observed.kube import Resource
from headrace_operator.plan import connector
from headrace_operator.plan.actions import Plan, PutConnector
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition

POSTGRES = worlds.CONNECTOR.spec["postgres"]
TABLES = {"tables": ["public.customers", "Sales.Order Lines"]}


def made(
    name: str, created: str | None, *, accepted: bool = False, namespace: str = "shop", **changes: Any
) -> Resource:
    """Return a Connector like the others, with other fields of ``postgres`` and others of the spec."""
    top: dict[str, Any] = {key: changes.pop(key) for key in ("config", "capture") if key in changes}
    spec: dict[str, Any] = {**worlds.CONNECTOR.spec, "postgres": {**POSTGRES, **changes}, **top}
    status: dict[str, Any] = {"accepted": {"generation": 1, "spec": spec}} if accepted else {}
    return worlds.resource("Connector", name, spec, created=created, status=status, namespace=namespace)


def planned(resource: Resource, *others: Resource) -> Plan:
    world = worlds.connector_world(resource=resource, others=(*others, resource))
    return connector.plan(world, worlds.SETTINGS, worlds.NOW)


SHARED: dict[str, Any] = {"publication": "shared"}
OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@pytest.mark.case("databases-3")
@pytest.mark.parametrize(
    ("mine", "other", "mine_is_refused"),
    [
        (made("a", NEW, **SHARED), made("b", OLD, **SHARED), True),
        (made("a", OLD, **SHARED), made("b", NEW, **SHARED), False),
        (made("a", OLD, **SHARED), made("b", NEW, accepted=True, **SHARED), True),
        (made("a", NEW, accepted=True, **SHARED), made("b", OLD, **SHARED), False),
        (made("a", OLD, **SHARED), made("b", OLD, **SHARED), False),
        (made("b", OLD, **SHARED), made("a", OLD, **SHARED), True),
        (made("a", None, **SHARED), made("b", NEW, **SHARED), True),
        (made("a", NEW, slot="one"), made("b", OLD, slot="one"), True),
        (made("a", NEW, slot="one"), made("b", OLD, slot="one", database="other"), True),
        (made("a", NEW, slot="one", host="SHOP-DB", port=5432), made("b", OLD, slot="one"), True),
        (made("a", NEW, slot="one"), made("b", OLD, slot="one", namespace="bakery"), True),
        (made("a", NEW, **SHARED), made("b", OLD, config={"publication.name": "shared"}), True),
        (made("a", NEW, config={"publication.name": "shared"}), made("b", OLD, **SHARED), True),
        (made("a", NEW, slot="one"), made("b", OLD, slot="one", port=5433), False),
        (made("a", NEW, **SHARED), made("b", OLD, database="other", **SHARED), False),
        (made("a", NEW, **SHARED), made("b", OLD, host="elsewhere", **SHARED), False),
        (made("a", NEW, **SHARED), made("b", OLD, publication="another"), False),
        (made("a", OLD, accepted=True, publication="headrace_shop_b"), made("b", NEW), True),
        (made("a", NEW, **SHARED), worlds.resource("Connector", "b", {"nonsense": True}, created=OLD), False),
    ],
)
def test_of_two_connectors_that_share_a_slot_or_a_publication_one_is_refused(
    mine: Resource, other: Resource, mine_is_refused: bool
) -> None:
    plan = planned(mine, other)
    accepted = condition(plan, "Accepted")

    assert (accepted["status"] == "False") is mine_is_refused
    if mine_is_refused:
        assert accepted["reason"] == "NameTaken"
        assert f"is that of Connector {other.namespace}/{other.name}" in accepted["message"]
        assert not mine.status or plan.status["accepted"] == mine.status["accepted"]


@pytest.mark.case("databases-3")
def test_what_was_accepted_with_another_publication_stays_when_an_edit_takes_a_strangers() -> None:
    before = made("a", OLD, accepted=True, publication="mine")
    edited = dataclasses.replace(before, spec=made("a", OLD, **SHARED).spec, generation=2)
    plan = planned(edited, made("b", NEW, accepted=True, **SHARED))
    (put,) = [action for action in plan.actions if isinstance(action, PutConnector)]

    assert condition(plan, "Accepted")["status"] == "False"
    assert put.config["publication.name"] == "mine"


@pytest.mark.case("databases-3")
@pytest.mark.parametrize(
    "capture", [{"outbox": {"table": "public.outbox_v2"}}, {"tables": ["public.outbox"]}], ids=["table", "kind"]
)
def test_an_outboxs_table_stays_once_it_was_accepted(capture: dict[str, Any]) -> None:
    """Also where the API server let the edit through."""
    world = statuses.settled("Connector")
    plan = statuses.planned(statuses.changed(world, spec={**world.resource.spec, "capture": capture}, generation=2))

    assert plan.actions == ()
    assert "spec.capture.outbox.table was public.outbox when it was accepted" in condition(plan, "Accepted")["message"]
    assert condition(plan, "Running")["status"] == "True"


@pytest.mark.case("databases-3")
@pytest.mark.parametrize("named", [SHARED, {"config": {"publication.name": "shared"}}], ids=["field", "raw"])
def test_a_publication_that_a_user_names_is_never_altered(named: dict[str, Any]) -> None:
    plan = planned(made("a", OLD, capture=TABLES, **named))
    (put,) = [action for action in plan.actions if isinstance(action, PutConnector)]

    assert put.config["publication.name"] == "shared"
    assert put.config["publication.autocreate.mode"] == "disabled"
    assert "publish.via.partition.root" not in put.config
    assert (
        'CREATE PUBLICATION shared FOR TABLE public.customers, "Sales"."Order Lines" '
        "WITH (publish_via_partition_root = true)"
    ) in condition(plan, "Accepted")["message"]


@pytest.mark.case("databases-13")
def test_what_the_database_must_have_is_told_once_as_an_event() -> None:
    resource = made("a", OLD, capture={"tables": [f"public.table_{number}" for number in range(500)]}, **SHARED)
    first = planned(resource)
    second = planned(dataclasses.replace(resource, status=first.status))
    (note,) = [note for note in first.notes if note.reason == "Accepted"]

    assert "ALTER TABLE public.table_0 REPLICA IDENTITY FULL" in note.message
    assert "public.table_4, …" in note.message
    assert len(note.message) < 1000
    assert note.type == "Normal"
    assert [note.reason for note in second.notes if note.reason == "Accepted"] == []
