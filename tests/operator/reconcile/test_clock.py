"""A clock that is set back by an hour holds nothing up for an hour, and makes nothing older or faster than it is."""

from __future__ import annotations

from datetime import timedelta

from headrace_operator.plan import restarts
from headrace_operator.plan.conditions import timestamp
from headrace_operator.reconcile.backlog import WINDOW, History
from headrace_operator.scaling.decide import decide
from headrace_operator.scaling.terms import Memory
from tests.operator import worlds
from tests.operator.plan.statuses import connector_that
from tests.operator.reconcile.test_backlog import part, sample
from tests.operator.scaling.test_decide import LIMITS, load, measured

HOUR = timedelta(hours=1)
AHEAD = worlds.NOW + HOUR


def test_samples_of_the_future_are_forgotten() -> None:
    history = History().at(AHEAD)
    history.add(sample(0, part(10, 5)))

    assert history.at(AHEAD - timedelta(seconds=WINDOW)) is history
    assert history.at(worlds.NOW) is not history
    assert not history.at(worlds.NOW).looks


def test_a_restart_is_due_at_most_two_minutes_from_now() -> None:
    failed = connector_that("RUNNING", "FAILED")["seen"]
    record = {"attempts": 1, "lastTime": timestamp(AHEAD), "nextTime": timestamp(AHEAD + timedelta(seconds=10))}

    assert restarts.decide(failed, None, record, worlds.NOW).due


def test_a_restart_of_the_future_keeps_nothing_from_being_well() -> None:
    well = connector_that("RUNNING")["seen"]

    assert restarts.decide(well, None, {"attempts": 1, "lastTime": timestamp(AHEAD)}, worlds.NOW).restarted is None


def test_replicas_follow_though_they_changed_in_the_future() -> None:
    memory = Memory(desired=8, previous=4, since=AHEAD, capacity=400.0, measured_at=AHEAD, fewer_since=AHEAD)

    assert decide(measured(load(0, arrivals=1.0), ready=8), memory, LIMITS, worlds.NOW).desired == 4
