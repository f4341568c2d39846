"""How a Connector is configured to be told of snapshots: once one asks for it, with the login of its Kafka, unseen."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import offset_documents, publication, signals
from headrace_operator.plan.actions import CreateTopic, Plan, PutConnector, SendSignal
from tests.operator import worlds
from tests.operator.plan import statuses

pytestmark = pytest.mark.case("databases-5")

PREFIX = "shop.orders-db"
SASL = {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "kafka"}}
TLS = {"ca": {"secret": "kafka", "key": "ca.crt"}, "certificate": {"secret": "client"}}
OAUTH = {
    "mechanism": "OAUTHBEARER",
    "credentials": {"secret": "kafka"},
    "oauth": {"tokenEndpoint": "https://id/token"},
}
SECRET = r"^signal\.consumer\..*(jaas|ssl\.keystore\.key$|client\.secret)"
REFERRED = r"\$\{(secrets|quoted):shop/(kafka|client):[a-z.]+\}|OAuthBearerLoginModule required;$"
EXTERNAL = worlds.resource("ConnectCluster", "main", {"kafka": "kafka", "external": {"url": "http://connect:8083"}})


def kafka(**spec: Any) -> Resource:
    """Return the KafkaConnection, accepted so."""
    whole = {"bootstrapServers": "kafka.kafka:9092", **spec}
    return worlds.resource("KafkaConnection", "kafka", whole, status={"accepted": {"generation": 1, "spec": whole}})


def listening(config: dict[str, str] | None = None, **changes: Any) -> ConnectorWorld:
    """Return the world of a Connector that is asked to listen."""
    spec = {**worlds.CONNECTOR.spec, **({"config": config} if config else {})}
    return statuses.changed(worlds.connector_world(**{"signals": kafka(), **changes}), spec=spec)  # type: ignore[no-any-return]


def put(plan: Plan) -> dict[str, str]:
    """Return what a plan configures a connector by."""
    (action,) = [one for one in plan.actions if isinstance(one, PutConnector)]
    return dict(action.config)


def test_it_is_configured_once_it_is_asked_for_and_its_topics_are_made_before() -> None:
    plain, asked = (statuses.planned(one) for one in (worlds.connector_world(), listening()))
    more = put(asked).items() - put(plain).items()

    assert dict(more) == {
        "signal.enabled.channels": "kafka",
        "signal.kafka.topic": f"{PREFIX}.signals",
        "signal.kafka.groupId": f"{PREFIX}.signals",
        "signal.kafka.bootstrap.servers": "kafka.kafka:9092",
        "signal.kafka.poll.timeout.ms": "1000",
        "signal.consumer.security.protocol": "PLAINTEXT",
        "notification.enabled.channels": "sink",
        "notification.sink.topic.name": f"{PREFIX}.notifications",
        "read.only": "true",
    }
    topics = [one for one in asked.actions if isinstance(one, CreateTopic)]
    assert [(one.topic, one.partitions) for one in topics] == [
        (f"{PREFIX}.signals", 1),
        (f"{PREFIX}.notifications", 1),
    ]
    assert isinstance(asked.actions[-1], PutConnector)
    assert not [one for one in plain.actions if isinstance(one, CreateTopic)]


def test_it_listens_from_then_on() -> None:
    made = statuses.acted(listening(), statuses.planned(listening()))
    after = statuses.planned(made)

    assert (after.status["signals"], after.actions) == (True, ())
    assert signals.asked(dataclasses.replace(worlds.CONNECTOR, status=after.status), ())
    assert statuses.planned(worlds.connector_world()).status["signals"] is None


@pytest.mark.parametrize(
    ("status", "snapshot", "asked"),
    [
        ({"snapshotTaken": True}, {"phase": "Pending", "accepted": "True"}, True),
        ({}, {"phase": "Pending", "accepted": "True"}, False),
        ({"snapshotTaken": True}, {"phase": "Pending", "accepted": "False"}, False),
        ({"snapshotTaken": True}, {}, False),
        ({"snapshotTaken": True}, {"phase": "Completed", "accepted": "True"}, False),
        ({"signals": True}, {}, True),
    ],
)
def test_a_snapshot_that_is_accepted_asks_for_it_after_the_first_one(status: Any, snapshot: Any, asked: bool) -> None:
    accepted = [{"type": "Accepted", "status": snapshot["accepted"]}] if "accepted" in snapshot else []
    told = {"phase": snapshot.get("phase"), "conditions": accepted}
    own = dataclasses.replace(worlds.SNAPSHOT, status=told)
    other = dataclasses.replace(own, spec={**own.spec, "connector": "another"})
    connector = dataclasses.replace(worlds.CONNECTOR, status=status)

    assert signals.asked(connector, (own,)) == asked
    assert signals.asked(connector, (other,)) == bool(status.get("signals"))


@pytest.mark.parametrize("spec", [{"sasl": SASL}, {"tls": TLS}, {"sasl": OAUTH, "tls": {}}, {"sasl": SASL, "tls": TLS}])
def test_its_login_is_that_of_the_kafka_and_stands_nowhere_as_it_is(spec: Any) -> None:
    config = put(statuses.planned(listening(signals=kafka(**spec))))
    secret = {name: value for name, value in config.items() if re.search(SECRET, name)}

    assert secret
    assert all(re.search(REFERRED, value) for value in secret.values())
    mask = re.compile(config.get("custom.sanitize.pattern", signals.MASKED))
    assert all(mask.fullmatch(name) for name in secret)


def test_a_private_key_is_masked_also_where_the_user_masks_more() -> None:
    config = put(statuses.planned(listening({"custom.sanitize.pattern": ".*mine"}, signals=kafka(tls=TLS))))

    assert re.fullmatch(config["custom.sanitize.pattern"], "signal.consumer.ssl.keystore.key")
    assert re.fullmatch(config["custom.sanitize.pattern"], "mine")


def test_a_table_of_signals_of_the_users_stays_and_is_used() -> None:
    config = put(statuses.planned(listening({"signal.data.collection": "public.signals"})))

    assert config["signal.enabled.channels"] == "source,kafka"
    assert "read.only" not in config
    assert config["signal.kafka.poll.timeout.ms"] == "0"


@pytest.mark.parametrize(
    "config",
    [{"signal.enabled.channels": "jmx"}, {"signal.consumer.client.id": "a"}, {"notification.sink.topic.name": "a"}],
)
def test_what_the_user_set_stays_as_it_is(config: dict[str, str]) -> None:
    made = put(statuses.planned(listening(config)))

    assert config.items() <= made.items()
    assert signals.TOPIC not in made


@pytest.mark.parametrize(
    ("spec", "told"), [({}, True), ({"tls": {}}, True), ({"sasl": SASL}, False), ({"tls": TLS}, False)]
)
def test_no_login_is_handed_to_a_kafka_connect_of_others(spec: Any, told: bool) -> None:
    kafka_of, own = kafka(**spec), statuses.changed(worlds.connector_world(), spec=worlds.CONNECTOR.spec).resource

    assert bool(signals.demanded(own, _spec(own), EXTERNAL, kafka_of)) == told


def _spec(resource: Resource) -> Any:
    accepted = {"accepted": {"generation": 1, "spec": resource.spec}}
    found = publication.accepted(dataclasses.replace(resource, status=accepted))
    assert found is not None
    return found


@pytest.mark.parametrize("unknown", [Absent(), Unknown(reason="no answer")])
def test_while_its_kafka_is_not_known_what_runs_stays(unknown: Any) -> None:
    made = statuses.acted(listening(), statuses.planned(listening()))
    assert isinstance(made.seen, ConnectorSeen)
    dark = dataclasses.replace(made, signals=unknown, validation=Unknown(reason="no answer"))

    assert statuses.planned(dark).actions == ()


def test_a_snapshot_whose_resource_is_gone_is_stopped_also_while_it_rests() -> None:
    made = statuses.acted(listening(), statuses.planned(listening()))
    actions = statuses.planned(dataclasses.replace(made, left="headrace-gone")).actions

    assert all(isinstance(one, SendSignal) for one in actions)
    sent = [json.loads(one.value) for one in actions if isinstance(one, SendSignal)]
    assert [(one["id"], one["type"]) for one in sent] == [
        ("headrace-gone", "stop-snapshot"),
        ("headrace-gone", "resume-snapshot"),
    ]


OFFSET = {"lsn": 1}


@pytest.mark.parametrize(
    ("offset", "begun", "id"),
    [
        (OFFSET, True, None),
        ({**OFFSET, "snapshot": "INITIAL", "last_snapshot_record": False}, False, None),
        ({**OFFSET, "snapshot": "INITIAL", "last_snapshot_record": True, "snapshot_completed": True}, True, None),
        ({**OFFSET, "snapshot": "BLOCKING", "snapshot_completed": False, "last_snapshot_record": False}, True, None),
        ({**OFFSET, "snapshot": "INCREMENTAL", "incremental_snapshot_correlation_id": "a"}, True, "a"),
        (None, False, None),
    ],
)
def test_offsets_tell_of_snapshots(offset: Any, begun: bool, id: str | None) -> None:
    document = ({"partition": {"server": PREFIX}, "offset": offset},)

    assert (offset_documents.has_begun(document), offset_documents.snapshot(document)) == (begun, id)
