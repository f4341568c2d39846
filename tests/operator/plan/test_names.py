"""What is named after a resource is nothing else's: on Kafka, in Kubernetes and in the source database."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headrace import names as kafka_names
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import connectcluster, connector, debezium, names, outboxrelay, sources
from tests.operator import worlds
from tests.operator.plan import statuses

pytestmark = pytest.mark.case("clusters-11")

WORDS = (
    *("retry", "dlq", "connect", "headrace", "outbox", "resolutions", "configs", "offsets", "status", "public"),
    *("a", "b", "a-b", "b-a", "a-connect", "a-consumer", "a-relay", "9", "consumer"),
)
"""Names that what is made is called by, or that look like the seam between two."""

KINDS = {
    "ConnectCluster": worlds.CONNECT,
    "Connector": worlds.CONNECTOR,
    "Consumer": worlds.CONSUMER,
    "OutboxRelay": worlds.OUTBOX_RELAY,
}
JUDGES: Mapping[str, Any] = {
    "ConnectCluster": connectcluster,
    "Connector": connector,
    "Consumer": sources,
    "OutboxRelay": outboxrelay,
}


@st.composite
def resources(draw: st.DrawFn, clusters: tuple[str, ...]) -> Resource:
    """Return a resource of any cluster, namespace and name, that is accepted; it captures an outbox or tables."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    word = st.sampled_from(WORDS)
    made = dataclasses.replace(
        KINDS[kind], namespace=draw(word), name=draw(word), cluster=draw(st.sampled_from(clusters))
    )
    if kind == "Connector" and draw(st.booleans()):
        capture = {"tables": [f"{draw(word)}.{draw(word)}"]}
        made = dataclasses.replace(made, spec={**made.spec, "capture": capture})
    assume(JUDGES[kind].judge(made).problem is None)
    return made


def made_for(one: Resource) -> Iterator[tuple[str, str]]:
    """Yield each thing that is named after a resource: where it is, and how it is called there."""
    at = (one.place, one.name)
    match one.kind:
        case "Consumer":
            yield "group", kafka_names.group(*at)
            yield f"object in {one.place}", names.consumer_child(one.name)
            yield from (("topic", topic) for topic in kafka_names.own_topics(*at))
        case "ConnectCluster":
            yield "group", names.connect_group(*at)
            yield f"object in {one.place}", names.connect_child(one.name)
            yield from (("topic", f"{names.connect_group(*at)}.{end}") for end in ("configs", "offsets", "status"))
        case "OutboxRelay":
            yield f"object in {one.place}", names.relay_child(one.name)
        case _:
            spec = connector.judge(one).spec
            assert spec is not None
            configuration = debezium.configuration(one, spec)
            yield "slot", configuration["slot.name"]
            yield "publication", configuration["publication.name"]
            yield "connector", configuration["name"]
            prefix = debezium.prefix(one, spec)
            yield from (("topic", debezium.topic(prefix, table=table)) for table in spec.capture.tables or ())
            if spec.capture.outbox:
                yield from (("topic", debezium.topic(prefix, route=route)) for route in WORDS)


@pytest.mark.parametrize("clusters", [("",), ("east",), ("a", "b", "a-b", "outbox")], ids="/".join)
@given(data=st.data())
def test_nothing_is_made_for_two(clusters: tuple[str, ...], data: st.DataObject) -> None:
    """Of one cluster with or without a name, or of several that have each its own."""
    found = data.draw(
        st.lists(
            resources(clusters),
            min_size=2,
            max_size=12,
            unique_by=lambda one: (one.kind, one.cluster, one.namespace, one.name),
        )
    )
    for left, right in itertools.combinations(found, 2):
        assert set(made_for(left)).isdisjoint(made_for(right)), (left, right)


@pytest.mark.parametrize("namespace", ["dlq", "retry", "connect"])
def test_a_namespace_that_is_called_as_our_topics_begin_needs_a_prefix(namespace: str) -> None:
    """`dlq.shop.outbox.resolutions` may be of a Connector `shop` in `dlq` and of a Consumer `outbox` in `shop`."""
    default = dataclasses.replace(worlds.CONNECTOR, namespace=namespace, name="shop")
    chosen = dataclasses.replace(default, spec={**default.spec, "topics": {"prefix": f"shop-{namespace}"}})
    problem = connector.judge(default).problem

    assert problem is not None
    assert f"topics that begin with {namespace}.shop may be those that Headrace makes" in problem.message
    assert connector.judge(chosen).problem is None


@pytest.mark.parametrize("kind", ["Connector", "Consumer"])
def test_every_name_has_the_clusters_before_the_namespace(kind: str) -> None:
    """A cluster's rights may be given by how names begin."""
    bare = set(made_for(KINDS[kind]))
    named = set(made_for(dataclasses.replace(KINDS[kind], cluster="east")))

    assert len(named) == len(bare)
    assert all("east.shop." in name or "_east_shop_" in name for where, name in named if not where.startswith("object"))


def test_slots_without_a_clusters_name_are_as_they_were() -> None:
    """What they are called must not change: a slot holds where the log was read to."""
    assert names.slot("shop", "orders") == "headrace_shop_orders"
    assert names.slot("shop", "orders.v2") == "headrace_shop_orders_v2"
    assert names.slot("shop", "orders-db") == "headrace_shop_orders_db_24ad43c5"


def test_one_that_was_accepted_before_there_was_a_rule_runs_on() -> None:
    spec = {**worlds.CONNECTOR.spec, "topics": {"prefix": "dlq.shop"}}
    status = {"accepted": {"generation": 1, "spec": spec}}

    assert connector.judge(dataclasses.replace(worlds.CONNECTOR, spec=spec, status=status)).problem is None


@pytest.mark.parametrize("topic", kafka_names.own_topics("shop", "billing"))
def test_a_consumer_does_not_read_what_it_writes(topic: str) -> None:
    spec = {**worlds.CONSUMER.spec, "from": {"kafka": "kafka", "topics": ["orders", topic]}}
    world = worlds.consumer_world(
        resource=dataclasses.replace(worlds.CONSUMER, spec=spec), connector=None, connect=None
    )
    said = worlds.condition(statuses.planned(world), "Accepted")

    assert (said["status"], said["reason"]) == ("False", "InvalidSpec")
    assert f"spec.from.topics has {topic}, which this Consumer writes itself" in said["message"]
    another = dataclasses.replace(worlds.CONSUMER, name="letters", spec=spec)
    assert sources.judge(another).problem is None
