"""What the operator's metrics page says of a fleet: it follows the statuses, and never tells unknown as zero."""

from __future__ import annotations

import dataclasses
from typing import Any

import aiohttp
import pytest
from aiohttp import test_utils, web

from headrace_operator.clients.connect import Connect
from headrace_operator.clients.errors import HeadraceError
from headrace_operator.clients.measured import REQUESTS
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Children, Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConsumerWorld
from headrace_operator.plan import connector, consumer
from tests.operator import worlds
from tests.waiting import PATIENCE

BILLING = {"resource_namespace": "shop", "pipeline": "orders", "consumer": "billing"}
ORDERS_DB = {"resource_namespace": "shop", "pipeline": "orders", "connector": "orders-db"}


def _after_a_pass(world: ConsumerWorld) -> Fleet:
    """Return the metrics after the Consumer's plan for ``world``."""
    fleet = Fleet()
    status = consumer.plan(world, worlds.SETTINGS, worlds.NOW).status
    fleet.record(world.resource, status, world.backlog if isinstance(world.backlog, BacklogSeen) else None)
    return fleet


def _pipelines(world: ConsumerWorld) -> set[str]:
    """Return the pipeline as the metrics tell it, as the status does, and as the pods are labelled and told."""
    plan = consumer.plan(world, worlds.SETTINGS, worlds.NOW)
    children = worlds.applied(Children(objects={}), plan.actions).objects
    seen = [one.labels["pipeline"] for one in _samples(_after_a_pass(world)) if "pipeline" in one.labels]
    labelled = children[("Deployment", "billing-consumer")]["spec"]["template"]["metadata"]["labels"]
    (told,) = [one["data"]["config.json"] for (kind, _), one in children.items() if kind == "ConfigMap"]
    assert f'"pipeline": "{plan.status["pipeline"]}"' in told
    return {*seen, plan.status["pipeline"], labelled["headrace.dev/pipeline"]}


def _samples(fleet: Fleet) -> list[Any]:
    return [sample for metric in fleet.registry.collect() for sample in metric.samples]


def _value(fleet: Fleet, name: str, labels: dict[str, str]) -> float | None:
    return fleet.registry.get_sample_value(f"headrace_{name}", labels)


def _labelled(resource: Resource, **labels: str) -> Resource:
    return dataclasses.replace(resource, labels=labels)


def test_pipeline_is_the_same_wherever_it_is_told() -> None:
    """A Consumer's own label, or else its Connector's pipeline, or else its own name."""
    own = _labelled(worlds.CONSUMER, **{"headrace.dev/pipeline": "mine"})
    plain = _labelled(worlds.CONNECTOR)

    assert _pipelines(worlds.consumer_world(resource=own)) == {"mine"}
    assert _pipelines(worlds.consumer_world()) == {"orders"}
    assert _pipelines(worlds.consumer_world(connector=plain)) == {"orders-db"}


def test_pipeline_stays_while_the_connector_cannot_be_read() -> None:
    """Series do not change their name because the API server did not answer once."""
    before = dataclasses.replace(worlds.CONSUMER, status={"pipeline": "orders"})
    world = worlds.consumer_world(resource=before, connector=Unknown(reason="no answer"))

    assert _value(_after_a_pass(world), "consumer_ready_replicas", BILLING) == 0


def test_limits_are_those_of_the_plan() -> None:
    """The defaults are filled in, and partitions cap the most."""
    spec = {**worlds.CONSUMER.spec, "scale": {"max": 40}}
    fleet = _after_a_pass(worlds.consumer_world(resource=dataclasses.replace(worlds.CONSUMER, spec=spec)))

    assert _value(fleet, "consumer_min_replicas", BILLING) == 1
    assert _value(fleet, "consumer_max_replicas", BILLING) == 12
    assert _value(fleet, "consumer_slo_lag_seconds", BILLING) == 60


def test_last_decision_is_told_with_its_terms() -> None:
    """Reason, replicas and rates are those of the status."""
    fleet = _after_a_pass(worlds.consumer_world())

    assert _value(fleet, "autoscaler_reason", {**BILLING, "reason": "Learning"}) == 1
    assert _value(fleet, "autoscaler_desired_replicas", BILLING) == 1
    assert _value(fleet, "autoscaler_arrivals_messages_per_second", BILLING) == 0
    assert _value(fleet, "autoscaler_capacity_messages_per_second", BILLING) is None


def test_unknown_is_not_told_as_zero() -> None:
    """Without an answer of Kafka or Connect there are no series, instead of zeros."""
    unread = _after_a_pass(worlds.consumer_world(backlog=Unknown(reason="no answer"), topics=Unknown(reason="none")))
    world = worlds.connector_world(seen=Unknown(reason="no answer"))
    unread.record(worlds.CONNECTOR, connector.plan(world, worlds.SETTINGS, worlds.NOW).status, None)

    assert _value(unread, "connector_tasks", {**ORDERS_DB, "state": "FAILED"}) is None
    assert _value(unread, "dlq_messages", BILLING) is None
    assert not [one for one in _samples(unread) if one.name == "headrace_consumer_lag_messages"]


def test_restarts_are_counted_from_the_record() -> None:
    """The record counts restarts in a row and begins anew once all is well; the metric never falls."""
    fleet = Fleet()
    for attempts in (3, 4, 4, 6, None, 1):
        status = {} if attempts is None else {"restarts": {"attempts": attempts}}
        fleet.record(dataclasses.replace(worlds.CONNECTOR, status=status), {}, None)

    assert _value(fleet, "connector_restarts_total", ORDERS_DB) == 4


EARLIER = {**ORDERS_DB, "snapshot": "earlier"}
AT = "2026-11-30T12:00:00Z"
SENT = {"connector": "uid-orders-db", "offset": 3, "since": AT}


@pytest.mark.parametrize(
    ("spec", "status", "rows", "since"),
    [
        ({}, {"phase": "Pending"}, None, None),
        ({}, {"phase": "Requested", "rows": 0, "signal": SENT}, 0, 1796040000),
        ({}, {"phase": "Requested", "rows": 0, "signal": {**SENT, "since": None}}, 0, None),
        ({}, {"phase": "Running", "rows": 7, "heard": {"next": 4, "at": AT}}, 7, 1796040000),
        ({"type": "Blocking"}, {"phase": "Running", "rows": 7, "heard": {"next": 4, "at": AT}}, 7, None),
        ({}, {"phase": "Paused", "rows": 7, "heard": {"next": 4, "at": AT}}, 7, None),
        ({}, {"phase": "Completed", "rows": 9, "heard": {"next": 4, "at": AT}}, 9, None),
    ],
)
def test_a_snapshot_tells_how_far_it_is_and_since_when_its_next_word_is_awaited(
    spec: dict[str, str], status: dict[str, Any], rows: int | None, since: int | None
) -> None:
    """It belongs to its Connector's pipeline, whichever of the two is seen first."""
    fleet = Fleet()
    fleet.record(dataclasses.replace(worlds.SNAPSHOT, spec={**worlds.SNAPSHOT.spec, **spec}), status, None)
    fleet.record(worlds.CONNECTOR, {}, None)

    assert _value(fleet, "snapshot_phase", {**EARLIER, "phase": status["phase"]}) == 1
    assert _value(fleet, "snapshot_rows", EARLIER) == rows
    assert _value(fleet, "snapshot_told_timestamp_seconds", EARLIER) == since


def test_what_is_gone_leaves_no_series() -> None:
    """Also its count of restarts goes."""
    fleet = _after_a_pass(worlds.consumer_world())
    fleet.record(worlds.CONNECTOR, {}, None)
    fleet.forget("Consumer", "shop", "billing")
    fleet.forget("Connector", "shop", "orders-db")

    assert not [one for one in _samples(fleet) if "resource_namespace" in one.labels]


def test_who_does_not_look_tells_nothing_of_resources() -> None:
    """It stands by, or led before: beside the one that leads it would tell what is no longer so."""
    leads = True
    fleet = Fleet(lambda: leads)
    fleet.record(worlds.KAFKA, {"conditions": [{"type": "Ready", "status": "True"}]}, None)
    assert [one for one in _samples(fleet) if "resource_namespace" in one.labels]
    leads = False

    assert not [one for one in _samples(fleet) if "resource_namespace" in one.labels]


async def test_requests_are_counted_by_how_they_end() -> None:
    """A missing connector, a Connect that is busy, and one that does not answer."""

    async def busy(_: web.Request) -> web.Response:
        return web.json_response({"message": "rebalancing"}, status=409)

    before = {outcome: _requests(outcome) for outcome in ("missing", "busy", "unreachable")}
    app = web.Application()
    app.router.add_put("/connectors/busy/pause", busy)
    async with test_utils.TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("")).rstrip("/")
        connect = Connect(session, PATIENCE)
        assert await connect.connector(url, "gone") == Absent()
        with pytest.raises(HeadraceError, match="rebalancing"):
            await connect.set_state(url, "busy", "pause")
        await server.close()
        with pytest.raises(HeadraceError, match="did not answer"):
            await connect.workers(url)

    assert {outcome: _requests(outcome) - count for outcome, count in before.items()} == dict.fromkeys(before, 1)


def _requests(outcome: str) -> float:
    return next(
        sample.value
        for metric in REQUESTS.collect()
        for sample in metric.samples
        if sample.name.endswith("_count") and sample.labels == {"target": "connect", "outcome": outcome}
    )
