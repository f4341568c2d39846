"""Which spec is in force when a status was written by somebody else, or by another version of Headrace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.plan.statuses import BAD, WORLDS, changed, planned, settled
from tests.operator.plan.test_sources import backlog
from tests.operator.worlds import CONSUMER, TOPIC, condition, with_status


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("accepted", [{"generation": 1}, {"generation": 1, "spec": None}, {"spec": {}}])
@pytest.mark.parametrize("edit", [{}, BAD])
def test_an_accepted_spec_that_is_none_is_as_if_none_ever_was(
    kind: str, accepted: dict[str, Any], edit: dict[str, Any]
) -> None:
    plan = planned(changed(with_status(WORLDS[kind](), {"accepted": accepted}), **edit))

    assert (plan.status["accepted"] is None) == bool(edit)


def upgraded(kind: str, **words: Any) -> Any:
    """Return a world that settled with an accepted spec, and a written one, that have ``words`` no more known."""
    world = settled(kind)
    spec = {**world.resource.spec, **words}
    accepted = {**world.resource.status["accepted"], "spec": spec}
    return changed(with_status(world, {**world.resource.status, "accepted": accepted}), spec=spec)


@pytest.mark.case("clusters-13")
@pytest.mark.parametrize("kind", WORLDS)
def test_an_accepted_spec_that_an_upgrade_does_not_take_is_kept_and_left_running(kind: str) -> None:
    world = upgraded(kind, older={"word": 1})
    plan = planned(world)
    accepted = condition(plan, "Accepted")

    assert plan.status["accepted"] == world.resource.status["accepted"]
    assert plan.actions == ()
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert "spec.older" in accepted["message"]
    assert "accepted before is not valid in this version of Headrace: it is kept" in accepted["message"]
    again = planned(with_status(world, plan.status))
    assert again.status["accepted"] == plan.status["accepted"]


@pytest.mark.case("clusters-13")
@pytest.mark.parametrize("kind", WORLDS)
def test_a_downgrade_that_meets_a_bad_edit_as_well_tells_of_both(kind: str) -> None:
    world = changed(upgraded(kind, newer=True), **BAD)
    plan = planned(world)
    message = condition(plan, "Accepted")["message"]

    assert plan.status["accepted"] == world.resource.status["accepted"]
    assert plan.actions == ()
    assert "spec.nonsense" in message or "Field required" in message
    assert "(spec.newer: " in message


@pytest.mark.case("clusters-13")
@pytest.mark.parametrize("kind", WORLDS)
def test_a_spec_that_is_mended_takes_the_place_of_what_could_not_be_read(kind: str) -> None:
    world = upgraded(kind, older={"word": 1})
    mended = {name: value for name, value in world.resource.spec.items() if name != "older"}
    plan = planned(changed(world, spec=mended, generation=2))

    assert plan.status["accepted"] == {"generation": 2, "spec": mended}
    assert condition(plan, "Accepted")["status"] == "True"


@pytest.mark.case("clusters-13")
@pytest.mark.parametrize(
    "words",
    [
        {"delivery": {"retry": {"attempts": 5000}}},
        {"from": {**CONSUMER.spec["from"], "since": "yesterday"}},
        {"from": {**CONSUMER.spec["from"], "connector": "orders-db", "tables": 7}},
    ],
)
def test_what_such_a_consumer_reads_is_counted_and_no_edit_takes_it_out_with_its_records(words: dict[str, Any]) -> None:
    world = changed(upgraded("Consumer", **words), backlog=backlog(**{TOPIC: 39}))
    plan = planned(world)
    other = {**CONSUMER.spec, "from": {"connector": "orders-db", "routes": ["other"]}}
    edited = planned(changed(world, spec=other, generation=2))

    assert plan.status["topics"] == [TOPIC]
    assert plan.status["lag"]["records"] == 39
    assert condition(plan, "TopicsReady")["status"] == "True"
    assert condition(edited, "Accepted")["reason"] == "RecordsWait"
    assert f"39 in {TOPIC}" in condition(edited, "Accepted")["message"]
    assert edited.status["accepted"] == world.resource.status["accepted"]
