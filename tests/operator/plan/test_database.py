"""What a source agent's word means: conditions, what refuses a spec, what holds it, and what is not started again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from headrace_operator.observed.connect import Validation
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import connector, slots
from headrace_operator.plan.actions import PutConnector, RestartConnector, SetState
from tests.fakes import agent
from tests.operator import worlds
from tests.operator.plan import databases
from tests.operator.plan.databases import LACKS, LOST, ROWS, TABLES, WELL, planned, running, without_slot, world
from tests.operator.worlds import condition


def test_a_database_that_has_all_is_said_to_be_ready_and_debezium_makes_no_publication() -> None:
    plan = planned(world())
    (put,) = plan.actions

    assert isinstance(put, PutConnector)
    assert put.config["publication.autocreate.mode"] == "disabled"
    assert condition(plan, "SourceReady")["status"] == "True"
    after = planned(running(world()))
    assert after.actions == ()
    assert [condition(after, one)["reason"] for one in ("Ready", "SlotHealthy", "Streaming")] == [
        "Ready", "SlotHealthy", "Streaming",
    ]  # fmt: skip
    assert after.status["lagBytes"] == 0x800
    assert after.status["systemIdentifier"] == "7001"


def test_without_an_agent_nothing_is_known_and_nothing_waits() -> None:
    plan = planned(worlds.connector_world(source=Unknown(reason="ConnectCluster main has no source agent: …")))

    assert len(plan.actions) == 1
    assert {condition(plan, one)["status"] for one in ("SourceReady", "SlotHealthy", "Streaming")} == {"Unknown"}
    assert "lagBytes" not in {name for name, value in plan.status.items() if value is not None}


@pytest.mark.parametrize(("facts", "reason", "words"), LACKS)
def test_what_the_database_lacks_refuses_a_spec_with_what_mends_it(
    facts: Mapping[str, Any], reason: str, words: str
) -> None:
    source = agent.source(**{"tables": WELL, **facts})
    plan = planned(world(source, resource=ROWS, validation=Unknown(reason="not asked")))

    assert plan.actions == ()
    assert condition(plan, "Accepted")["reason"] == reason
    assert words in condition(plan, "Accepted")["message"]
    assert condition(plan, "Stalled")["status"] == "True"
    assert connector.unprepared(ROWS, (), {}, databases.WATCHED, source) is not None
    assert plan.status.get("preparedGeneration") is None


@pytest.mark.parametrize(("facts", "reason", "words"), LACKS)
def test_what_it_lacks_later_is_told_of_what_runs_on(facts: Mapping[str, Any], reason: str, words: str) -> None:
    there = running(world(agent.source(tables=WELL), resource=ROWS))
    plan = planned(dataclasses.replace(there, source=agent.source(**{"tables": WELL, **facts})))

    assert plan.actions == ()
    assert condition(plan, "Accepted")["status"] == "True"
    assert condition(plan, "SourceReady")["reason"] == reason
    assert words in condition(plan, "SourceReady")["message"]
    assert condition(plan, "Ready")["status"] == ("True" if reason == "TableWithoutKey" else "False")


@pytest.mark.parametrize("cause", ["NotReached", "HostUnknown"])
def test_a_database_that_is_away_is_waited_for_and_refuses_nothing(cause: Any) -> None:
    away = agent.source(login=agent.unseen(cause, "connection refused."))
    plan = planned(world(away, validation=Unknown(reason="held")))

    assert plan.actions == ()
    assert condition(plan, "Accepted")["status"] == "True"
    assert condition(plan, "Ready")["reason"] == "SourceUnreachable"
    assert condition(plan, "Reconciling")["status"] == "True"
    assert condition(plan, "Stalled") == {}
    assert connector.unprepared(worlds.CONNECTOR, (), {}, databases.WATCHED, away) is not None


def test_a_refused_login_names_the_secret_and_is_not_put() -> None:
    refused = agent.source(login=agent.unseen("LoginRefused", 'password authentication failed for user "shop".'))
    plan = planned(world(refused, validation=Unknown(reason="held")))

    assert plan.actions == ()
    assert condition(plan, "Ready")["reason"] == "LoginRefused"
    assert "refuses the login of Secret shop-db" in condition(plan, "Ready")["message"]
    assert condition(plan, "Stalled") == {}


def test_what_only_the_agent_cannot_read_is_not_told_of_a_connector_that_moves() -> None:
    """A password that was changed reaches the agent's files later than Kafka Connect."""
    refused = agent.source(login=agent.unseen("LoginRefused", "password authentication failed."))
    there = running(world())
    moves, stands = (planned(dataclasses.replace(there, source=refused, stands=one)) for one in (False, True))

    assert condition(moves, "Ready")["status"] == "True"
    assert condition(moves, "SourceReady")["status"] == "Unknown"
    assert condition(stands, "Ready")["reason"] == "LoginRefused"


@pytest.mark.parametrize(
    "source", [Absent(), Unknown(reason="GET http://main-agent…: the source agent did not answer.")]
)
def test_nothing_is_put_before_the_agent_has_looked(source: Any) -> None:
    held = connector.unprepared(worlds.CONNECTOR, (), {}, databases.WATCHED, source)
    plan = planned(world(source, validation=Unknown(reason=held or "")))

    assert held is not None
    assert plan.actions == ()
    assert condition(plan, "Stalled") == {}
    assert held in condition(plan, "Ready")["message"]


@pytest.mark.case("databases-3")
def test_a_publication_is_awaited_and_its_spec_marked_as_ready_for_it() -> None:
    bare = agent.source(tables={"public.outbox": {"published": False}}, publication=agent.seen(None))
    plan = planned(world(bare, validation=Unknown(reason="held")))

    assert plan.actions == ()
    assert condition(plan, "SourceReady")["reason"] == "PublicationAwaited"
    assert plan.status["preparedGeneration"] == 1


def test_a_publication_that_the_agent_may_not_make_is_told_with_the_statement() -> None:
    deed = {
        "kind": "MakePublication", "at": agent.AT, "statement": "CREATE PUBLICATION x FOR TABLE public.outbox",
        "failure": agent.unseen("RightMissing", "must be owner of table outbox."),
    }  # fmt: skip
    bare = agent.source(tables={"public.outbox": {"published": False}}, publication=agent.seen(None), deeds=(deed,))
    plan = planned(world(bare, validation=Unknown(reason="held")))

    assert condition(plan, "Accepted")["reason"] == "PublicationIncomplete"
    assert (
        "could not run CREATE PUBLICATION x FOR TABLE public.outbox: must be owner"
        in condition(plan, "Accepted")["message"]
    )
    assert plan.status["preparedGeneration"] == 1


@pytest.mark.case("databases-3")
@pytest.mark.parametrize(
    ("publication", "words"),
    [
        (None, 'run CREATE PUBLICATION mine FOR TABLE public.a, public."B" WITH (publish_via_partition_root = true)'),
        (agent.PUBLICATION | {"name": "mine"}, 'run ALTER PUBLICATION mine ADD TABLE public."B"'),
    ],
)
def test_what_a_publication_of_the_users_own_lacks_is_told_with_the_sql(publication: Any, words: str) -> None:
    postgres = {**TABLES["postgres"], "publication": "mine"}
    resource = dataclasses.replace(ROWS, spec={**TABLES, "postgres": postgres})
    bare = agent.source(tables=WELL | {"public.B": {"published": False}}, publication=agent.seen(publication))
    plan = planned(world(bare, resource=resource, validation=Unknown(reason="held")))

    assert condition(plan, "Accepted")["reason"] == "PublicationIncomplete"
    assert words in condition(plan, "Accepted")["message"]


@pytest.mark.case("databases-13")
def test_a_table_without_a_key_is_captured_where_only_inserts_are() -> None:
    keyless = agent.source(tables=WELL | {"public.a": {"unidentified": ("public.a",)}})
    inserts = dataclasses.replace(ROWS, spec={**TABLES, "config": {"skipped.operations": "u,d,t"}})

    assert len(planned(world(keyless, resource=inserts)).actions) == 1
    assert planned(world(keyless, resource=ROWS)).actions == ()


@pytest.mark.case("databases-12")
@pytest.mark.parametrize("slot", [*({**agent.SLOT, **one} for one in LOST), None])
def test_a_lost_slot_is_named_and_nothing_is_started_again(slot: Any) -> None:
    plan = planned(without_slot(worlds.CONNECTOR, slot))

    assert not [one for one in plan.actions if isinstance(one, RestartConnector)]
    assert condition(plan, "Ready")["reason"] == "SlotLost"
    message = condition(plan, "SlotHealthy")["message"]
    assert "headrace_shop_orders_db_24ad43c5" in message
    assert "headrace connector offsets reset orders-db -n shop" in message
    assert ("SELECT pg_drop_replication_slot" in message) == (slot is not None)


@pytest.mark.case("databases-12")
@pytest.mark.parametrize("slot", [*({**agent.SLOT, **one} for one in LOST), None])
def test_a_slot_whose_tables_may_be_read_anew_halts_nothing(slot: Any) -> None:
    postgres = {**worlds.CONNECTOR.spec["postgres"], "onSlotLost": "Resnapshot"}
    resource = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, "postgres": postgres})
    plan = planned(without_slot(resource, slot))

    assert [type(one) for one in plan.actions] == [RestartConnector]
    message = condition(plan, "SlotHealthy")["message"]
    assert "all rows of its tables are read anew" in message or "all tables are read" in message
    assert "SELECT" not in message


@pytest.mark.case("databases-12")
def test_a_slot_made_anew_is_a_possible_gap_with_both_positions_and_is_not_resumed() -> None:
    stopped = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, "state": "Stopped"})
    there = running(world(resource=stopped))
    anew = agent.source(slot=agent.seen(agent.SLOT | {"confirmed_position": "1/5000", "active": False}))
    again = dataclasses.replace(there.resource, spec=worlds.CONNECTOR.spec, generation=2)
    plan = planned(dataclasses.replace(there, resource=again, source=anew, stands=True))

    assert not [one for one in plan.actions if isinstance(one, SetState)]
    assert condition(plan, "Ready")["reason"] == "PossibleDataGap"
    assert "begins at 1/5000, beyond 0/1800" in condition(plan, "Ready")["message"]


def test_a_new_connectors_slot_is_not_missed() -> None:
    plan = planned(world(agent.source(slot=agent.seen(None))))

    assert len(plan.actions) == 1
    assert condition(plan, "SlotHealthy")["status"] == "Unknown"


@pytest.mark.case("databases-10")
@pytest.mark.parametrize(
    ("slot", "reason", "words"),
    [
        (
            {"hours_left": 3.0, "retained_bytes": 5 * 2**30},
            "SlotGrowing",
            "keeps more than 4 GiB of log and is lost within",
        ),
        ({"wal_status": "unreserved", "retained_bytes": 2**20}, "SlotGrowing", "may be lost any moment"),
        (
            {"retained_bytes": 40 * 2**30, "growth": 9.0},
            "SlotGrowing",
            "keeps more than 32 GiB of log and more and more",
        ),
        ({"retained_bytes": 40 * 2**30, "growth": -1.0}, "SlotHealthy", "keeps what was not read yet"),
        ({"hours_left": 30.0}, "SlotHealthy", "keeps what was not read yet"),
    ],
)
def test_a_slot_that_grows_is_told_and_ready_stays(slot: Mapping[str, Any], reason: str, words: str) -> None:
    plan = planned(running(world(), source=agent.source(slot=agent.seen({**agent.SLOT, **slot}))))

    assert condition(plan, "SlotHealthy")["reason"] == reason
    assert words in condition(plan, "SlotHealthy")["message"]
    assert condition(plan, "Ready")["status"] == "True"


def test_a_slot_that_nobody_reads_is_told_once_the_connector_stands() -> None:
    idle = agent.source(slot=agent.seen(agent.SLOT | {"active": False}))
    moves, stands = (planned(running(world(), source=idle, stands=one)) for one in (False, True))

    assert condition(moves, "SlotHealthy")["status"] == "True"
    assert condition(stands, "SlotHealthy")["reason"] == "SlotInactive"


def test_running_but_dead_is_told_and_an_honest_rest_is_not() -> None:
    there = running(world(), lsn=0x1800, stands=True)
    caught_up = running(world(), lsn=0x2000, stands=True)

    assert condition(planned(there), "Streaming")["reason"] == "NoProgress"
    assert "beyond 0/1800" in condition(planned(there), "Streaming")["message"]
    assert condition(planned(there), "Ready")["status"] == "True"
    assert condition(planned(caught_up), "Streaming")["status"] == "True"
    assert planned(caught_up).status["lagBytes"] == 0


@pytest.mark.case("databases-12")
def test_another_server_is_refused_before_it_is_captured() -> None:
    there = running(world())
    there = worlds.with_status(there, planned(there).status)
    moved = {**worlds.CONNECTOR.spec, "postgres": {**worlds.CONNECTOR.spec["postgres"], "host": "new-db"}}
    edited = dataclasses.replace(there.resource, spec=moved, generation=2)
    other = agent.source(server=agent.seen(agent.SERVER | {"system_identifier": "7002"}))
    refused = planned(dataclasses.replace(there, resource=edited, candidate=other, validation=Unknown(reason="held")))
    same = planned(
        dataclasses.replace(there, resource=edited, candidate=agent.source(), validation=Validation(errors=()))
    )

    assert refused.actions == ()
    assert condition(refused, "Accepted")["reason"] == "OtherServer"
    assert "7002" in condition(refused, "Accepted")["message"]
    assert len(same.actions) == 1


@pytest.mark.case("databases-12")
def test_another_server_behind_the_same_name_is_told() -> None:
    there = running(world())
    there = worlds.with_status(there, planned(there).status)
    other = agent.source(server=agent.seen(agent.SERVER | {"system_identifier": "7002"}))
    plan = planned(dataclasses.replace(there, source=other))

    assert condition(plan, "Ready")["reason"] == "OtherServer"
    assert plan.status["systemIdentifier"] == "7001"


@pytest.mark.parametrize("text", ["0/0", "0/16B3748", "16/B374D848", "FFFFFFFF/FFFFFFFF"])
def test_positions_are_read_as_they_are_written(text: str) -> None:
    found = slots.number(text)

    assert found is not None
    assert slots.position(found) == text
