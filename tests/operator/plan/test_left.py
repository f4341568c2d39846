"""What goes in a database with a connector that leaves: only what Headrace named, and only where that is asked for."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest

from headrace import printable
from headrace_agent import declared
from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectClusterWorld
from headrace_operator.plan import connectcluster, connector, leaving
from headrace_operator.plan.actions import Apply, ChangeOffsets, Plan, PutConnector, RemoveConnector
from tests.fakes import agent
from tests.operator import worlds
from tests.operator.plan import databases
from tests.operator.worlds import condition

pytestmark = pytest.mark.case("databases-12")

NAME, SLOT = "shop.orders-db", "headrace_shop_orders_db_24ad43c5"
OFFSETS = ({"partition": {"server": NAME}, "offset": {"lsn": 4711}},)
GONE = agent.source(slot=agent.seen(None), publication=agent.seen(None))
DELETE = {"onDelete": {"slot": "Delete"}}


def configured(**edits: Any) -> dict[str, str]:
    """Return what the Connector configures Kafka Connect with, before it is gone."""
    resource = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, **edits})
    plan = connector.plan(databases.world(resource=resource), worlds.SETTINGS, worlds.NOW)
    (put,) = [one for one in plan.actions if isinstance(one, PutConnector)]
    return dict(put.config)


def left(config: dict[str, str], database: Any, **changes: Any) -> ConnectClusterWorld:
    """Return the world of workers with an agent, and with a stopped connector that has lost its Connector."""
    lost = worlds.lost(NAME, config=config, offsets=OFFSETS)
    secrets = {"shop-db": SecretSeen(name="shop-db", keys=frozenset({"username", "password"}))}
    known = {"resource": databases.WATCHED, "connectors": (), "sources": secrets, "databases": {NAME: database}}
    first = worlds.connect_world(**{**lost, **known, "connectors": (worlds.CONNECTOR,), "orphans": {}, **changes})
    made = worlds.after_connect(first, planned(first).actions)
    return dataclasses.replace(made, connectors=(), orphans=lost["orphans"], **changes)


def planned(seen: ConnectClusterWorld, after: timedelta = timedelta()) -> Plan:
    return connectcluster.plan(seen, worlds.SETTINGS, worlds.NOW + after)


def declaration(plan: Plan) -> tuple[declared.Postgres, ...] | None:
    """Return the sources that are declared anew; None where nothing is."""
    maps = [one.manifest for one in plan.actions if isinstance(one, Apply) and one.manifest["kind"] == "ConfigMap"]
    found = [one["data"]["sources.json"] for one in maps if "sources.json" in one["data"]]
    return declared.load(found[0]).sources if found else None


@pytest.mark.case("clusters-25")
def test_what_others_wrote_into_a_configuration_is_told_in_short_and_is_no_sql() -> None:
    """Kafka Connect may be others' too: what its connectors say is text of anybody."""
    odd = "x\x1b[2J\n" + "y" * 5000
    names = {"slot.name": SLOT, "publication.name": f"headrace_{odd}", "database.dbname": odd, "database.hostname": odd}
    plan = planned(left(configured() | names | {"headrace.resource.uid": odd}, Absent()))
    told = [note.message for note in plan.notes if note.reason == "SlotStays"]

    assert len(told) == 1
    assert len(told[0]) < 1000
    assert "DROP PUBLICATION" not in told[0]
    assert printable.is_safe(told[0])
    assert len(json.dumps(plan.status["leaving"])) < 1000
    assert not [
        note
        for note in planned(left(configured() | {"slot.name": "x'); DROP TABLE a; --"}, Absent())).notes
        if note.reason == "SlotStays"
    ]


def phases(plan: Plan) -> list[str]:
    return [one["phase"] for one in plan.status["leaving"] or ()]


def test_the_agent_drops_both_by_the_login_there_was_before_anything_else_goes() -> None:
    plan = planned(left(configured(**DELETE), agent.source()))
    (source,) = declaration(plan) or ()

    assert phases(plan) == ["Dropping"]
    assert (source.slot.name, source.slot.state) == (SLOT, "Dropped")
    assert (source.publication.name, source.publication.state) == (SLOT, "Dropped")
    assert (source.host, source.database, source.login.secret) == ("shop-db", "shop", "shop-db")
    assert not [one for one in plan.actions if isinstance(one, ChangeOffsets | RemoveConnector)]


def test_the_offsets_go_once_both_are_seen_to_be_gone() -> None:
    plan = planned(left(configured(**DELETE), GONE))

    assert phases(plan) == ["Forgetting"]
    assert [type(one) for one in plan.actions][-1] is ChangeOffsets
    assert "SlotStays" not in {note.reason for note in plan.notes}


def test_what_nobody_asked_to_be_dropped_stays_and_the_sql_is_told() -> None:
    plan = planned(left(configured(), agent.source()))
    (note,) = [note for note in plan.notes if note.reason == "SlotStays"]

    assert phases(plan) == ["Forgetting"]
    assert declaration(plan) == ()
    assert f"SELECT pg_drop_replication_slot('{SLOT}'); DROP PUBLICATION {SLOT};" in note.message
    assert "in database shop at shop-db" in note.message


def test_a_slot_that_offsets_are_kept_for_is_not_told_to_be_dropped() -> None:
    plan = planned(left(configured(onDelete={"offsets": "Keep"}), agent.source()))

    assert phases(plan) == ["Removing"]
    assert not {note.reason for note in plan.notes} & {"SlotStays", "OffsetsRemoved", "OffsetsStay"}


def test_a_slot_that_may_never_have_been_made_is_told_as_that() -> None:
    world = left(configured(), agent.source())
    never = worlds.lost(NAME, config=configured())["orphans"]
    plan = planned(dataclasses.replace(world, orphans=never))
    (note,) = [note for note in plan.notes if note.reason == "SlotStays"]

    assert f"may leave replication slot {SLOT} behind" in note.message


@pytest.mark.parametrize("named", [{"publication": "mine"}, {"config": {"publication.name": "mine"}}])
def test_a_publication_of_the_users_is_not_dropped_and_not_told_to_be(named: dict[str, Any]) -> None:
    spec = named if "config" in named else {"postgres": {**worlds.CONNECTOR.spec["postgres"], **named}}
    world = left(configured(**spec, **DELETE), agent.source())
    (source,) = declaration(planned(world)) or ()
    (told,) = [one for one in planned(left(configured(**spec), Absent())).notes if one.reason == "SlotStays"]

    assert (source.publication.name, source.publication.state) == ("mine", "LookedAt")
    assert "DROP PUBLICATION" not in told.message


@pytest.mark.parametrize(
    "forged",
    [
        {"slot.name": "of_others"},
        {"publication.name": "of_others"},
        {"database.password": "${secrets:shop/another:password}"},
        {"database.hostname": "x:1,y"},
    ],
)
def test_what_is_configured_by_somebody_else_drops_nothing(forged: dict[str, str]) -> None:
    """Whoever reaches Kafka Connect may write there what is to leave: neither a slot nor a login of others is used."""
    plan = planned(left({**configured(**DELETE), **forged}, Absent()))

    assert phases(plan) == ["Dropping"]
    assert declaration(plan) == ()


def test_a_login_is_sent_only_where_its_secret_may_go() -> None:
    bound = SecretSeen(name="shop-db", keys=frozenset({"username", "password"}), hosts=("elsewhere",))
    world = left(configured(**DELETE), Absent())

    assert declaration(planned(dataclasses.replace(world, sources={"shop-db": bound}))) == ()


def test_a_role_of_somebody_else_may_name_no_secrets_at_all() -> None:
    gone = worlds.lost(NAME, config=configured(), offsets=OFFSETS)["orphans"]
    everything = {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    assert leaving.still_read(gone, everything) == ()


@pytest.mark.parametrize("database", [Unknown(reason="no agent answers"), agent.source(), Absent()])
def test_a_database_that_is_away_is_not_waited_for_for_ever(database: Any) -> None:
    world, seen, minutes = left(configured(**DELETE), database), [], timedelta()
    for _ in range(leaving.TRIES + 1):
        plan = planned(world, minutes)
        seen.append(phases(plan))
        world, minutes = worlds.with_status(world, plan.status), minutes + timedelta(seconds=40)
    (note,) = [note for note in plan.notes if note.reason == "SlotStays"]

    assert seen == [["Dropping"]] * leaving.TRIES + [["Forgetting"]]
    assert "The source agent did not drop it within 5 minutes" in note.message
    assert f"pg_drop_replication_slot('{SLOT}')" in note.message
    assert phases(planned(world, minutes)) == ["Forgetting"], "it does not begin again"


def test_without_an_agent_nothing_is_waited_for_and_it_is_said_before() -> None:
    config = configured(**DELETE)
    plan = planned(left(config, None, resource=worlds.CONNECT, databases={}))
    resource = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, **DELETE})
    plain = dataclasses.replace(worlds.CONNECT, status={"accepted": {"generation": 1, "spec": worlds.CONNECT.spec}})
    before = connector.plan(worlds.connector_world(resource=resource, connect=plain), worlds.SETTINGS, worlds.NOW)

    assert phases(plan) == ["Forgetting"]
    assert "SlotStays" in {note.reason for note in plan.notes}
    assert "onDelete.slot: Delete is done by the source agent" in condition(before, "Accepted")["message"]


def test_one_applied_again_waits_until_the_slot_of_the_one_before_is_dropped() -> None:
    """Else the agent would make the publication for one while it drops that of the other."""
    world = left(configured(**DELETE), agent.source())
    again = dataclasses.replace(worlds.CONNECTOR, uid="uid-of-the-next")
    plan = planned(dataclasses.replace(world, connectors=(again,), owners={NAME: again}))

    assert [source.slot.state for source in declaration(plan) or ()] == ["Dropped"]


@pytest.mark.parametrize(
    ("on_delete", "slot", "said"),
    [
        ({"offsets": "Keep", "slot": "Delete"}, {}, "of no use without their slot"),
        ({"slot": "Delete"}, {"slot": "mine"}, "never dropped"),
    ],
)
def test_what_would_lose_more_than_was_meant_is_refused(
    on_delete: dict[str, str], slot: dict[str, str], said: str
) -> None:
    spec = {**worlds.CONNECTOR.spec, "onDelete": on_delete}
    spec["postgres"] = {**spec["postgres"], **slot}
    with pytest.raises(ValueError, match=said):
        ConnectorSpec.model_validate(spec)
