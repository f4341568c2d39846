"""Which levels are set at which worker, and how loggers get back what they started with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.observed.connect import LoggersSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConnectClusterWorld
from headrace_operator.plan import log_levels
from headrace_operator.plan.actions import Apply, Plan, SetLogLevel
from tests.fakes.connect_loggers import LOGGERS
from tests.operator import worlds
from tests.operator.plan import statuses

ONE, TWO = "http://10.0.0.1:8083", "http://10.0.0.2:8083"
NEW = LoggersSeen(levels=LOGGERS, untouched=True)
AWAY = Unknown(reason="GET http://10.0.0.2:8083/admin/loggers: Kafka Connect did not answer within 5 s.")


def spec(levels: Mapping[str, str] | None) -> dict[str, Any]:
    return {"kafka": "kafka", "workers": {} if levels is None else {"logLevels": dict(levels)}}


def world(levels: Mapping[str, str] | None, loggers: Any) -> ConnectClusterWorld:
    """Return a ConnectCluster that runs with these levels asked for."""
    runs: ConnectClusterWorld = statuses.settled("ConnectCluster")
    return edited(runs, levels, loggers=loggers)


def edited(seen: ConnectClusterWorld, levels: Mapping[str, str] | None, **changes: Any) -> ConnectClusterWorld:
    """Return the world after these levels were asked for."""
    made = dataclasses.replace(seen.resource, spec=spec(levels), generation=seen.resource.generation + 1)
    return dataclasses.replace(seen, resource=made, **changes)


def written(plan: Plan) -> list[tuple[str, str, str]]:
    return [(one.url, one.logger, one.level) for one in plan.actions if isinstance(one, SetLogLevel)]


def after(seen: ConnectClusterWorld) -> ConnectClusterWorld:
    """Return the world after one pass."""
    made: ConnectClusterWorld = statuses.acted(seen, statuses.planned(seen))
    return made


def levels(seen: ConnectClusterWorld, url: str = ONE) -> Mapping[str, str]:
    assert isinstance(seen.loggers, Mapping)
    one = seen.loggers[url]
    assert isinstance(one, LoggersSeen)
    return one.levels


def told(plan: Plan) -> tuple[str, str]:
    found = worlds.condition(plan, "LogLevelsSet")
    return found.get("status", ""), found.get("reason", "")


def test_levels_are_set_at_each_worker_and_no_pod_is_made_anew() -> None:
    seen = world({"io.debezium": "DEBUG"}, {ONE: NEW, TWO: NEW})
    plan = statuses.planned(seen)

    assert written(plan) == [(ONE, "io.debezium", "DEBUG"), (TWO, "io.debezium", "DEBUG")]
    assert not [one for one in plan.actions if isinstance(one, Apply)]
    assert told(plan) == ("False", "LogLevelsDiffer")
    assert plan.status["logLevelsAtStart"] == {"io.debezium": "INFO"}

    settled = after(seen)
    assert written(statuses.planned(settled)) == []
    assert told(statuses.planned(settled)) == ("True", "LogLevelsSet")
    assert statuses.planned(settled).status["logLevelsAtStart"] == {"io.debezium": "INFO"}
    assert worlds.condition(statuses.planned(settled), "Ready")["status"] == "True"


def test_a_worker_that_starts_anew_is_set_again() -> None:
    settled = after(world({"io.debezium": "DEBUG"}, {ONE: NEW, TWO: NEW}))
    assert isinstance(settled.loggers, Mapping)
    anew = dataclasses.replace(settled, loggers={**settled.loggers, TWO: NEW})

    assert written(statuses.planned(anew)) == [(TWO, "io.debezium", "DEBUG")]


@pytest.mark.parametrize("left", [None, {}, {"org.reflections": "WARN"}])
def test_what_is_taken_out_gets_back_its_level_from_the_start(left: Mapping[str, str] | None) -> None:
    """Each of those below it its own, also where no worker is left that nobody changed."""
    loud = after(world({"org.apache.kafka": "ERROR", "org.reflections": "WARN"}, {ONE: NEW}))
    assert {level for name, level in levels(loud).items() if name.startswith("org.apache.kafka")} == {"ERROR"}

    quiet = after(edited(loud, left))
    kept = {"org.reflections": "WARN"} if left else {}
    assert {name: levels(quiet)[name] for name in LOGGERS} == {**LOGGERS, **kept}
    plan = statuses.planned(quiet)
    assert written(plan) == []
    assert plan.status["logLevelsAtStart"] == ({"org.reflections": "ERROR"} if left else None)
    assert told(plan)[0] == ("True" if left else "")


def test_a_logger_below_another_keeps_its_own_level() -> None:
    both = {"io.debezium": "DEBUG", "io.debezium.config": "ERROR"}
    seen = after(world(both, {ONE: NEW}))
    assert levels(seen)["io.debezium"] == "DEBUG"
    assert levels(seen)["io.debezium.config.Field"] == "ERROR"

    one = after(edited(seen, {"io.debezium": "DEBUG"}))
    assert levels(one)["io.debezium.config.Field"] == "DEBUG"
    other = after(edited(seen, {"io.debezium.config": "ERROR"}))
    assert (levels(other)["io.debezium"], levels(other)["io.debezium.config.Field"]) == ("INFO", "ERROR")
    none = after(edited(other, {}))
    assert {name: levels(none)[name] for name in LOGGERS} == LOGGERS


def test_a_logger_that_is_named_later_below_another_goes_back_to_what_both_started_with() -> None:
    seen = after(world({"org.apache.kafka.connect": "DEBUG"}, {ONE: NEW}))
    more = {"org.apache.kafka.connect": "DEBUG", "org.apache.kafka.connect.runtime": "TRACE"}
    seen = after(edited(seen, more))
    seen = after(edited(seen, {}))

    assert levels(seen)["org.apache.kafka.connect.runtime.Worker"] == "INFO"


def test_levels_from_the_start_are_those_of_a_worker_that_nobody_changed() -> None:
    """As after a change of the image, or of the variable that says the level of all."""
    settled = after(world({"io.debezium": "DEBUG"}, {ONE: NEW}))
    quiet = LoggersSeen(levels={**LOGGERS, "root": "WARN", "io.debezium.config.Field": "WARN"}, untouched=True)
    plan = statuses.planned(dataclasses.replace(settled, loggers={TWO: quiet}))

    assert plan.status["logLevelsAtStart"] == {"io.debezium": "WARN"}


@pytest.mark.parametrize("loggers", [{}, {TWO: AWAY}, AWAY], ids=["none", "silent", "unknown"])
def test_nothing_is_forgotten_while_no_worker_tells(loggers: Any) -> None:
    settled = after(world({"io.debezium": "DEBUG"}, {ONE: NEW}))
    plan = statuses.planned(edited(settled, None, loggers=loggers))

    assert written(plan) == []
    assert told(plan) == ("Unknown", "LogLevelsUnknown")
    assert plan.status["logLevelsAtStart"] == {"io.debezium": "INFO"}


def test_a_silent_worker_holds_up_no_other_and_is_told() -> None:
    seen = world({"io.debezium": "DEBUG"}, {ONE: NEW, TWO: AWAY})
    assert written(statuses.planned(seen)) == [(ONE, "io.debezium", "DEBUG")]

    plan = statuses.planned(after(seen))
    assert told(plan) == ("Unknown", "LogLevelsUnknown")
    assert worlds.condition(plan, "LogLevelsSet")["message"] == (
        f"1 of 2 workers do not tell the levels of their loggers: {AWAY.reason}"
    )
    assert worlds.condition(plan, "Ready")["status"] == "True"


def test_nobody_is_asked_and_nothing_is_said_where_no_level_was_ever_asked_for() -> None:
    settled = statuses.settled("ConnectCluster")
    plan = statuses.planned(settled)

    assert not log_levels.matter(settled.resource)
    assert (told(plan), plan.status["logLevelsAtStart"]) == (("", ""), None)


def test_levels_of_a_refused_edit_are_not_set() -> None:
    settled = after(world({"io.debezium": "DEBUG"}, {ONE: NEW}))
    bad = edited(settled, {"org.eclipse.jetty.http": "DEBUG"})
    plan = statuses.planned(bad)

    assert written(plan) == []
    assert worlds.condition(plan, "Accepted")["status"] == "False"
    assert "would log passwords" in worlds.condition(plan, "Accepted")["message"]


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("org.eclipse.jetty.http.HttpParser", "DEBUG"),
        ("org.eclipse", "TRACE"),
        ("org.apache.kafka", "DEBUG"),
        ("org.apache.kafka.c", "DEBUG"),
        ("org.apache.kafka.common.config", "INFO"),
        ("io", "DEBUG"),
        ("root", "DEBUG"),
        ("Root", "WARN"),
        ("", "WARN"),
        ("io.debezium ", "WARN"),
        ("io..debezium", "WARN"),
        ("io/debezium", "WARN"),
        ("a" * 251, "WARN"),
        ("io.debezium", "debug"),
        ("io.debezium", "LOUD"),
    ],
)
def test_a_level_that_would_tell_passwords_or_is_none_is_refused(name: str, level: str) -> None:
    with pytest.raises(ValidationError):
        ConnectClusterSpec.model_validate(spec({name: level}))


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("io.debezium", "TRACE"),
        ("org.apache.kafka.connect", "DEBUG"),
        ("org.apache.kafka.clients", "DEBUG"),
        ("org.apache.kafka", "WARN"),
        ("org.eclipse.jetty", "ERROR"),
        ("com.example.Router$Rule", "DEBUG"),
    ],
)
def test_a_level_that_tells_no_password_is_taken(name: str, level: str) -> None:
    ConnectClusterSpec.model_validate(spec({name: level}))
