"""Each CEL rule refuses one fixture with the words that the user shall read; a rule without a fixture fails here."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import Any

import pytest

from headrace import headers, record
from headrace_operator.api import crd
from headrace_operator.api.connectcluster import EXACTLY_ONCE
from headrace_operator.api.connector import OutboxColumns
from headrace_operator.api.consumer import ConsumerSpec
from headrace_operator.api.kinds import ADDED, KINDS
from headrace_operator.api.properties import IDENTITY, TUNING
from headrace_operator.api.schema import API_VERSION
from headrace_operator.plan import connectcluster, connector, kafkaconnection, sources
from headrace_operator.plan.acceptance import judge
from tests.cluster import fast
from tests.cluster.client import refusal
from tests.operator import worlds
from tests.operator.api import externals, snapshot_rules
from tests.operator.operator_process import kubectl
from tests.operator.plan import leaves, statuses, templates
from tests.waiting import until

SOURCE = {"connector": "orders-db", "routes": ["order"]}
HTTP = {"http": {"url": "http://billing:8080/events"}}
IMAGE_AND_SOURCE = {"function": "a:b", "image": "shop/code:1", "source": {"configMap": "code"}}
SPECS: dict[str, dict[str, Any]] = {
    "KafkaConnection": {"bootstrapServers": "kafka:9092"},
    "ConnectCluster": {"kafka": "kafka", "workers": {}},
    "Connector": dict(worlds.CONNECTOR.spec),
    "Consumer": {"from": SOURCE, "handler": HTTP},
    "OutboxRelay": dict(worlds.OUTBOX_RELAY.spec),
    "Snapshot": dict(worlds.SNAPSHOT.spec),
}
REST = {"tls": {"secret": "certificate"}, "auth": {"credentials": {"secret": "login"}}}
POSTGRES = worlds.CONNECTOR.spec["postgres"]
PARCELS = worlds.OUTBOX_RELAY.spec["mariadb"]
HAS_PODS: dict[str, Any] = {"replicas": 1}
HAD_PODS: dict[str, Any] = {"replicas": 0, "startTime": "2026-01-02T03:04:05Z"}
LOGIN: dict[str, Any] = {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "a"}}
IS_ACCEPTED: dict[str, Any] = {"accepted": {"generation": 1, "spec": {}}}


def compensate(where: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a Consumer that says where commands go."""
    return {"delivery": {"onDeadLetter": {"compensate": where}}}


def outbox(columns: dict[str, str]) -> dict[str, Any]:
    """Return an outbox whose columns are called so."""
    return {"table": "public.outbox", "columns": columns}


def tokens(endpoint: str) -> dict[str, Any]:
    """Return a KafkaConnection's login by tokens from this address."""
    return {"sasl": {**LOGIN, "mechanism": "OAUTHBEARER", "oauth": {"tokenEndpoint": endpoint}}}


REFUSED: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("KafkaConnection", "spec.properties", 0, {"properties": {"plugin.library.paths": "evil"}}),
    ("KafkaConnection", "spec.bootstrapServers", 0, {"bootstrapServers": "SASL_SSL://me:s3cret@kafka:9092"}),
    ("KafkaConnection", "spec.bootstrapServers", 1, {"bootstrapServers": "${secrets:shop/mine:password}:9092"}),
    ("KafkaConnection", "spec.bootstrapServers", 2, {"bootstrapServers": "kafka:9092,169.254.169.254:80"}),
    ("KafkaConnection", "spec.sasl", 0, {"sasl": {**LOGIN, "mechanism": "OAUTHBEARER"}}),
    ("KafkaConnection", "spec.sasl.oauth.tokenEndpoint", 0, tokens("https://me:s3cret@id/token")),
    ("KafkaConnection", "spec.sasl.oauth.tokenEndpoint", 1, tokens("https://id/token,https://evil/")),
    ("KafkaConnection", "spec.sasl.oauth.tokenEndpoint", 2, tokens("http://169.254.169.254/latest/api/token")),
    ("ConnectCluster", "spec", 2, {"workers": {"config": {"connect.protocol": "compatible"}}, "rest": REST}),
    ("ConnectCluster", "spec.workers.config", 0, {"workers": {"config": {"ssl.keystore.password": "x"}}}),
    ("ConnectCluster", "spec.workers.config", 1, {"workers": {"config": {"bootstrap.servers": "elsewhere:9092"}}}),
    ("ConnectCluster", "spec.workers.config", 2, {"workers": {"config": {"producer.acks": "all\nx=y"}}}),
    ("ConnectCluster", "spec.workers.config", 3, {"workers": {"config": {"header.converter": "${secrets:a/b:c}"}}}),
    ("ConnectCluster", "spec.workers.config", 4, {"workers": {"config": {"ssl.engine.factory.class": "evil.All"}}}),
    ("ConnectCluster", "spec.workers.config", 5, {"workers": {"config": {"x.url": "http://169.254.169.254/"}}}),
    ("ConnectCluster", "spec.workers.config", 6, {"workers": {"config": {"x.url": "http://2852039166/"}}}),
    ("ConnectCluster", "spec.workers.image", 0, {"workers": {"image": "me:s3cret@registry.example/connect:1"}}),
    ("ConnectCluster", "spec.workers.resources", 0, {"workers": {"resources": {"requests": {"memory": "2Gi"}}}}),
    ("ConnectCluster", "spec.workers.resources", 1, {"workers": {"resources": {"limits": {"cpu": "100m"}}}}),
    (
        "Connector",
        "spec",
        0,
        {"postgres": {**worlds.CONNECTOR.spec["postgres"], "slot": "mine"}, "onDelete": {"slot": "Delete"}},
    ),
    ("Connector", "spec.onDelete", 0, {"onDelete": {"offsets": "Keep", "slot": "Delete"}}),
    ("Connector", "spec.capture", 0, {"capture": {"outbox": {"table": "a.b"}, "tables": ["a.c"]}}),
    ("Connector", "spec.capture.outbox.table", 0, {"capture": {"outbox": {"table": "outbox"}}}),
    ("Connector", "spec.capture.tables[]", 0, {"capture": {"tables": ["public.orders", "customers"]}}),
    ("Connector", "spec.config", 0, {"config": {"database.password": "x"}}),
    ("Connector", "spec.config", 1, {"config": {"slot.name": "other"}}),
    ("Connector", "spec.config", 2, {"config": {"producer.override.bootstrap.servers": "elsewhere:9092"}}),
    ("Connector", "spec.config", 3, {"config": {"transforms.secret.type": "${secrets:shop/db:password}"}}),
    ("Connector", "spec.config", 4, {"config": {"driver.socketFactory": "evil.Shell"}}),
    ("Connector", "spec.config", 5, {"config": {"signal.kafka.bootstrap.servers": "a:1, 169.254.169.254:80"}}),
    ("Connector", "spec.config", 6, {"config": {"value.converter.url": "http://0xA9FEA9FE/"}}),
    ("Connector", "spec.config", 7, {"config": {"database.hostname": "db/x?a="}}),
    ("Connector", "spec.postgres.host", 1, {"postgres": {**worlds.CONNECTOR.spec["postgres"], "host": "db/x?a="}}),
    ("Connector", "spec.postgres.host", 2, {"postgres": {**worlds.CONNECTOR.spec["postgres"], "host": "2852039166"}}),
    ("Connector", "spec.postgres.database", 0, {"postgres": {**worlds.CONNECTOR.spec["postgres"], "database": "x?a="}}),
    *(
        ("Connector", f"spec.capture.outbox.columns.{one}", 0, {"capture": {"outbox": outbox({one: "a,b"})}})
        for one in OutboxColumns.model_fields
    ),
    ("Connector", "", 5, {"topics": {"prefix": "dlq.shop"}}),
    ("Connector", "spec.postgres.host", 0, {"postgres": {**worlds.CONNECTOR.spec["postgres"], "host": "me:s3cret@db"}}),
    ("Consumer", "spec.from", 0, {"from": {**SOURCE, "kafka": "kafka", "topics": ["orders"]}}),
    ("Consumer", "spec.from", 1, {"from": {**SOURCE, "tables": ["a.b"]}}),
    ("Consumer", "spec.from", 2, {"from": {"kafka": "kafka"}}),
    ("Consumer", "spec.from.tables[]", 0, {"from": {"connector": "a", "tables": ['public."OrderItems"']}}),
    ("Consumer", "spec.handler", 0, {"handler": {**HTTP, "python": {"function": "a:b"}}}),
    ("Consumer", "spec.handler.http.url", 0, {"handler": {"http": {"url": "http://shop:s3cret@web:9/events"}}}),
    ("Consumer", "spec.handler.http.url", 1, {"handler": {"http": {"url": "http://web evil/events"}}}),
    ("Consumer", "spec.handler.http.url", 2, {"handler": {"http": {"url": "http://[fe80::1]:9/events"}}}),
    ("Consumer", "spec.handler.python.image", 0, {"handler": {"python": {"function": "a:b", "image": "me:s@reg/i"}}}),
    ("Consumer", "spec.handler.python", 0, {"handler": {"python": IMAGE_AND_SOURCE}}),
    ("Consumer", "spec.delivery.deduplication", 0, {"delivery": {"deduplication": {"window": "7d"}}}),
    (
        "Consumer",
        "spec.delivery.deduplication.redis",
        0,
        {"delivery": {"deduplication": {"redis": {"url": "redis://redis:6379", "ca": {"secret": "a", "key": "b"}}}}},
    ),
    (
        "Consumer",
        "spec.delivery.deduplication.redis.url",
        0,
        {"delivery": {"deduplication": {"redis": {"url": "redis://:s3cret@redis:6379/0"}}}},
    ),
    (
        "Consumer",
        "spec.delivery.deduplication.redis.url",
        1,
        {"delivery": {"deduplication": {"redis": {"url": "redis://169.254.169.254:80"}}}},
    ),
    ("Consumer", "spec.delivery.messageIdHeader", 0, {"delivery": {"messageIdHeader": "headrace.message-id"}}),
    ("Consumer", "spec.delivery", 0, {"delivery": {"order": "None", "onDeadLetter": {"action": "ParkKey"}}}),
    ("Consumer", "spec.delivery.onDeadLetter.compensate", 0, compensate({"topic": "undo", **HTTP})),
    (
        "Consumer",
        "spec.delivery.onDeadLetter.compensate.http.url",
        0,
        compensate({"http": {"url": "http://shop:s3cret@web:9/undo"}}),
    ),
    ("Consumer", "spec.delivery.onDeadLetter.compensate.http.url", 1, compensate({"http": {"url": "http://"}})),
    ("Consumer", "spec.delivery.onDeadLetter.compensate.http.url", 2, compensate({"http": {"url": "http://0x7f/"}})),
    (
        "Consumer",
        "spec.delivery.onDeadLetter.compensate.http.timeout",
        0,
        compensate({"http": {**HTTP["http"], "timeout": "0s"}}),
    ),
    ("Consumer", "spec.scale", 0, {"scale": {"min": 3, "max": 2}}),
    ("Consumer", "spec.handler.http.timeout", 0, {"handler": {"http": {**HTTP["http"], "timeout": "0s"}}}),
    ("Consumer", "spec.handler.python.timeout", 0, {"handler": {"python": {"function": "a:b", "timeout": "25h"}}}),
    ("Consumer", "spec.delivery.retry.backoff.initial", 0, {"delivery": {"retry": {"backoff": {"initial": "0ms"}}}}),
    ("Consumer", "spec.delivery.retry.maxAge", 0, {"delivery": {"retry": {"maxAge": "25h"}}}),
    ("Consumer", "spec.delivery.retry.maxInMemory", 0, {"delivery": {"retry": {"maxInMemory": "0s"}}}),
    ("Consumer", "spec.delivery.retry.backoff.max", 0, {"delivery": {"retry": {"backoff": {"max": "999999999h"}}}}),
    *(
        ("Consumer", f"spec.template{path}", index, {"template": templates.changed(templates.OF_CONSUMER, at, value)})
        for path, index, at, value in templates.RULES_OF_CONSUMER
    ),
    *externals.REFUSED,
    ("ConnectCluster", "spec.workers", 0, {"workers": {"resources": {}, "template": {"resources": {}}}}),
    ("ConnectCluster", "spec.workers", 1, {"workers": {"exactlyOnce": True, "config": {EXACTLY_ONCE: "disabled"}}}),
    ("ConnectCluster", "spec.workers.logLevels", 0, {"workers": {"logLevels": {"root": "DEBUG"}}}),
    ("ConnectCluster", "spec.workers.logLevels", 1, {"workers": {"logLevels": {"org.eclipse": "DEBUG"}}}),
    *(
        (
            "ConnectCluster",
            f"spec.workers.template{path}",
            index,
            {"workers": {"template": templates.changed(templates.OF_WORKERS, at, value)}},
        )
        for path, index, at, value in templates.RULES_OF_WORKERS
    ),
    *(
        (
            "ConnectCluster",
            f"spec.agent.template{path}",
            index,
            {"agent": {"template": templates.changed(templates.FULL, at, value)}},
        )
        for path, index, at, value in templates.RULES
    ),
    *snapshot_rules.RULES,
    ("OutboxRelay", "spec", 0, {"mysql": PARCELS}),
    *(
        ("OutboxRelay", f"spec.{database}.host", index, {"mariadb": None, database: {**PARCELS, "host": host}})
        for database in ("postgres", "mysql", "mariadb")
        for index, host in enumerate(("me:s3cret@db", "db-1,db-2", "169.254.169.254"))
    ),
    ("OutboxRelay", "spec.table", 0, {"table": "shop.public.outbox"}),
    ("OutboxRelay", "spec.topicPrefix", 0, {"topicPrefix": "dlq.shop"}),
    ("OutboxRelay", "spec.interval", 0, {"interval": "0s"}),
    ("OutboxRelay", "spec.retry.backoff.initial", 0, {"retry": {"backoff": {"initial": "0s"}}}),
    ("OutboxRelay", "spec.retry.backoff.max", 0, {"retry": {"backoff": {"max": "25h"}}}),
    *(
        (
            "OutboxRelay",
            f"spec.template{path}",
            index,
            {"template": templates.changed(templates.FULL, at, value)},
        )
        for path, index, at, value in templates.RULES
    ),
)


KEPT: tuple[tuple[str, int, dict[str, Any], dict[str, Any]], ...] = (
    ("ConnectCluster", 0, {"kafka": "other"}, HAS_PODS),
    ("ConnectCluster", 1, externals.external(), IS_ACCEPTED),
    ("ConnectCluster", 2, externals.external("https://other:8083"), IS_ACCEPTED),
    ("Connector", 0, {"connect": "other"}, IS_ACCEPTED),
    ("Connector", 1, {"postgres": {**POSTGRES, "database": "other"}}, IS_ACCEPTED),
    ("Connector", 2, {"postgres": {**POSTGRES, "slot": "other"}}, IS_ACCEPTED),
    ("Connector", 3, {"capture": {"outbox": {"table": "public.outbox_v2"}}}, IS_ACCEPTED),
    ("Connector", 4, {"topics": {"prefix": "other"}}, IS_ACCEPTED),
    ("Consumer", 0, {"from": {**SOURCE, "connector": "other"}}, HAS_PODS),
    ("Consumer", 1, {"from": {"kafka": "kafka", "topics": ["orders"]}}, HAD_PODS),
    *snapshot_rules.KEPT,
)
"""Rules about an edit: kind, number of the rule, the edit, and the status from which on it is refused."""
BEFORE: dict[tuple[str, int], dict[str, Any]] = {("ConnectCluster", 2): externals.external()}
"""What is to be different from `SPECS` before such an edit."""

CLIENTS = (
    *("", "producer.", "consumer.", "admin."),
    *("producer.override.", "consumer.override.", "admin.override."),
)
WAYS = ("bootstrap.servers", "security.protocol", "sasl.mechanism", "sasl.oauthbearer.token.endpoint.url")
WORKERS_OWN = (
    *("config.providers", "config.providers.x.class", "listeners", "listeners.https.ssl.protocol", "admin.listeners"),
    *("rest.advertised.host.name", "rest.extension.classes", "group.id", "plugin.path"),
    *("config.storage.topic", "offset.storage.topic", "status.storage.topic"),
)
OF_DEBEZIUM = {
    "signal.enabled.channels": "kafka",
    "signal.kafka.bootstrap.servers": "kafka:9092",
    "signal.consumer.security.protocol": "SSL",
    "openlineage.integration.dataset.kafka.bootstrap.servers": "kafka:9092",
}
"""Properties of Debezium that are called alike, for clients and labels of its own."""
REFERENCE = "${secrets:shop/shop-db:password}"
CLASSES_OF_USERS = (
    *("transforms.secret.type", "transforms.x.password", "transforms.password.field", "predicates.x.secret"),
    *("value.converter", "value.converter.basic.auth.user.info", "key.converter.schema.registry.ssl.key.password"),
    *("errors.deadletterqueue.topic.name", "snapshot.mode.custom.name.password", "column.mask.with.secret.chars"),
    *("transforms.outbox.table.fields.additional.placement", "signal.data.collection", "custom.metric.tags"),
    *("database.hostname", "ssl.keystore.key", "aws.secret.access.key", "x.jaas.config"),
)
"""Properties that a Connector's user names as they like, or whose value is up to a class: each might be shown."""
NOT_WHOLE = (
    *("x" + REFERENCE, REFERENCE + "x", REFERENCE * 2, "${secrets:shop/shop-db}", "${secrets:shop-db:password}"),
    *("${file:/etc/passwd:root}", "${env:HOME:x}", "${other:shop/shop-db:password}", "${secrets:shop/a/b:c}"),
    *("${secrets:shop/..:password}", "${secrets:shop/.:password}", "${secrets:shop/shop-db:..}"),
    *("${directory:/run/secrets/kubernetes.io/serviceaccount:token}", "${secrets:shop/shop-db:a b}"),
)
TLS_OF_CLIENTS = [
    f"{client}{name}"
    for client in ("", "producer.", "consumer.", "admin.")
    for name in ("ssl.key.password", "ssl.keystore.password", "ssl.truststore.password")
]
PROPERTIES: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("KafkaConnection", dict.fromkeys(TUNING, "1"), True),
    ("KafkaConnection", {"plugin.library.paths": "x"}, False),
    ("KafkaConnection", {"bootstrap.servers": "elsewhere:9092"}, False),
    ("KafkaConnection", {"client.rack": "a", "ssl.ca.location": "/etc/passwd"}, False),
    ("KafkaConnection", {"sasl.oauthbearer.token.endpoint.url": "http://elsewhere"}, False),
    ("Connector", {"snapshot.mode": "never", "ssl.keystore.location": "/etc/keys"}, True),
    *(("Connector", {name: "x"}, False) for name in (*IDENTITY, "headrace.on.delete.slot", "headrace.other")),
    ("Connector", {"database.password": "x"}, False),
    ("Connector", {"Database.PassWord": "x"}, False),
    ("Connector", {"database.password": "${secrets:shop/shop-db:password}"}, True),
    ("Connector", {"producer.override.sasl.jaas.config": "x"}, False),
    ("Connector", {"aws.secret.access.key": "x"}, False),
    *(("Connector", {f"{client}{name}": "x"}, False) for client in CLIENTS for name in WAYS),
    ("Connector", {"producer.override.sasl.jaas.config": "${secrets:shop/kafka:jaas}"}, False),
    ("Connector", {"config.providers": "secrets,env"}, False),
    ("Connector", {"config.providers.env.class": "x.EnvVarConfigProvider"}, False),
    ("Connector", {"producer.override.ssl.endpoint.identification.algorithm": ""}, False),
    ("Connector", {"admin.override.ssl.truststore.location": "/etc/any"}, False),
    ("Connector", OF_DEBEZIUM, True),
    ("Connector", {"snapshot.select.statement.overrides.public.orders": "SELECT *\n  FROM public.orders"}, True),
    ("Connector", {"producer.override.linger.ms": "5", "transforms.x.sasl.mode": "y"}, True),
    ("Connector", dict.fromkeys(("database.user", "database.sslpassword"), REFERENCE), True),
    (
        "Connector",
        dict.fromkeys(("signal.consumer.sasl.jaas.config", "signal.consumer.ssl.key.password"), REFERENCE),
        True,
    ),
    *(("Connector", {name: REFERENCE}, False) for name in CLASSES_OF_USERS),
    *(("Connector", {"database.password": value}, False) for value in NOT_WHOLE),
    *(("Connector", {"database.user": value}, False) for value in NOT_WHOLE),
    ("Connector", {"value.converter.schema.registry.url": "https://me:s3cret@registry.example"}, False),
    ("Connector", {"value.converter.schema.registry.url": "https://registry.example/a@b?c=d@e"}, True),
    ("Connector", {"transforms.x.replacement": "${routedByValue}.x"}, True),
    ("ConnectCluster", dict.fromkeys(TLS_OF_CLIENTS, REFERENCE), True),
    *(("ConnectCluster", {"ssl.key.password": value}, False) for value in NOT_WHOLE),
    *(
        ("ConnectCluster", {name: REFERENCE}, False)
        for name in ("header.converter", "x.password", "key.converter.secret")
    ),
    ("ConnectCluster", {"header.converter.url": "http://me:s3cret@web"}, False),
    *(("ConnectCluster", {f"{client}{name}": "x"}, False) for client in CLIENTS[:4] for name in WAYS),
    *(("ConnectCluster", {name: "x"}, False) for name in WORKERS_OWN),
    ("ConnectCluster", {"offset.storage.partitions": "25", "connector.client.config.override.policy": "None"}, True),
    ("ConnectCluster", {"producer.acks": "all\nproducer.bootstrap.servers=elsewhere:9092"}, False),
    ("ConnectCluster", {"producer.acks": "all\rx=y"}, False),
    *(("ConnectCluster", {name: "x"}, False) for name in (" bootstrap.servers", "a b", "\\u0062", "a=b", "a:b", "#a")),
    ("ConnectCluster", {"header.converter": "ü\\ \u2028"}, True),
    ("ConnectCluster", {"ssl.key.pem": "x"}, False),
    ("ConnectCluster", {"ssl.keystore.key": "x"}, False),
    ("ConnectCluster", {"ssl.keystore.type": "PEM", "producer.linger.ms": "5"}, True),
    ("ConnectCluster", {"basic.auth.user.info": "me:x"}, False),
)


PREFIXES = (
    *((prefix, False) for prefix in ("retry", "dlq.shop", "connect.shop.main", "dlq.")),
    *((prefix, True) for prefix in ("retries", "dlqs.shop", "shop.dlq", "connected", "shop-retry.x", ".dlq")),
)
"""A prefix of topics, and whether none of what it begins can be a topic of Headrace's own."""

NAMES: tuple[tuple[str, str, bool], ...] = (
    *(("ConnectCluster", name, False) for name in ("2026-main", "main.v2", "main-.x")),
    *(("Consumer", name, False) for name in ("billing.resolutions", "billing.v2")),
    *((kind, "orders.outbox", False) for kind in ("KafkaConnection", "Connector", "OutboxRelay")),
    ("ConnectCluster", "main-2026", True),
    *((kind, "2026-orders", True) for kind in ("KafkaConnection", "Connector", "Consumer", "OutboxRelay")),
)
"""Kind, name, and whether all that is named after it can be made and clashes with nothing."""

DURATIONS = (
    *(("1ms", True), ("500ms", True), ("1m30s", True), ("24h", True), ("86400000ms", True), ("23h59m60s", True)),
    *(("0s", False), ("0ms", False), ("0h0m", False), ("24h1ms", False), ("86400001ms", False), ("1000h", False)),
    *(("9" * 400 + "h", False), ("9999999999999999999h", False), ("2562048h", False), ("-1s", False), ("", False)),
    *(("1.5s", False), ("1d", False), ("30", False), ("99999999h99999999h9s", False), ("NaN", False)),
)
"""A length of time as written, and whether it is one that a Consumer may have."""


def test_the_headers_that_name_no_message_are_those_that_the_runtime_adds() -> None:
    added = {headers.OWN, headers.SPRING, headers.SPRING_RETRY, headers.BROKER, record.CORRELATION_ID}
    assert set(ADDED) == added


def _with(kind: str, change: dict[str, Any]) -> dict[str, Any]:
    """Return a spec with a change, in which None takes a part away."""
    return {name: part for name, part in {**SPECS[kind], **change}.items() if part is not None}


def test_every_rule_has_a_fixture() -> None:
    rules = {
        (kind.name, path, index) for kind in KINDS for path in kind.rules for index in range(len(kind.rules[path]))
    }

    creations = {(kind, path, index) for kind, path, index, _ in REFUSED}
    edits = {(kind, "", index) for kind, index, _, _ in KEPT}
    assert creations | edits == rules


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "path", "index", "change"), REFUSED)
def test_the_api_server_refuses_in_the_users_words(
    server: fast.ApiServer, kind: str, path: str, index: int, change: dict[str, Any]
) -> None:
    answer = _refusal(server, kind, _with(kind, change))

    rule = next(one for one in KINDS if one.name == kind).rules[path][index]
    field = f"{path}{rule.field_path or ''}".removeprefix(".")
    assert re.search(re.escape(f"{field}: ").replace(r"\[\]", r"\[\d\]"), answer)
    assert rule.message in answer


BY_KUBERNETES = "quantity("
"""What rules compare that plans do not: Kubernetes refuses what is made of it, and that is told."""


@pytest.mark.parametrize(("kind", "path", "index", "change"), REFUSED)
def test_the_plan_refuses_what_a_rule_refuses(kind: str, path: str, index: int, change: dict[str, Any]) -> None:
    """Where the definitions are older than the operator, or a value is older than its rule."""
    rule = next(one for one in KINDS if one.name == kind).rules[path][index]
    plan = leaves.first(kind, _with(kind, change))

    if BY_KUBERNETES in rule.rule:
        assert leaves.refusal(plan) is None, "refused after all: take it out of BY_KUBERNETES"
        return
    assert path.rpartition(".")[2].strip("[]") in (leaves.refusal(plan) or "accepted")
    assert plan.actions == ()


@pytest.mark.apiserver
@pytest.mark.parametrize(
    ("sasl", "well"),
    [
        (tokens("https://id.example.com:8443/realms/kafka/token?p=a")["sasl"], True),
        (tokens("http://[2001:db8::1]/")["sasl"], True),
        ({**tokens("https://id")["sasl"], "mechanism": "PLAIN"}, False),
        (tokens("ftp://id/token")["sasl"], False),
        (tokens("https://id/$(HOME)")["sasl"], False),
        (tokens("https://id/token#a")["sasl"], False),
        ({**LOGIN, "mechanism": "OAUTHBEARER", "oauth": {"tokenEndpoint": "https://id", "scope": 'a"b'}}, False),
        ({**LOGIN, "mechanism": "OAUTHBEARER", "oauth": {"tokenEndpoint": "https://id", "scope": "a b.c/d"}}, True),
        ({**LOGIN, "mechanism": "OAUTHBEARER", "oauth": {"scope": "a"}}, False),
        (LOGIN, True),
    ],
)
def test_schema_and_plan_agree_on_logins(server: fast.ApiServer, sasl: dict[str, Any], well: bool) -> None:
    spec = {**SPECS["KafkaConnection"], "sasl": sasl}
    judged = kafkaconnection.judge(worlds.resource("KafkaConnection", "x", spec))

    assert (judged.problem is None) is well
    assert (not _refusal(server, "KafkaConnection", spec)) is well


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "index", "edit", "status"), KEPT)
def test_an_edit_that_would_leave_records_behind_is_refused_once_there_are_some(
    server: fast.ApiServer, kind: str, index: int, edit: dict[str, Any], status: dict[str, Any]
) -> None:
    """Until something was made, a slip can be mended; then the field stays, and what stands may be applied again."""
    name = f"kept-{kind.lower()}-{index}"
    rule = next(one for one in KINDS if one.name == kind).rules[""][index]
    before = BEFORE.get((kind, index), {})
    first, second = (_made(kind, _with(kind, {**before, **change}), name) for change in ({}, edit))
    for one in (first, second, first):
        server.client.apply(one)
    server.client.patch(kind, name, {"status": status}, part="status")

    refused = refusal(partial(server.client.apply, second))

    assert f"{rule.field_path}: ".removeprefix(".") in refused
    assert rule.message in refused
    server.client.apply(first)


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "properties", "well"), PROPERTIES)
def test_schema_and_plan_agree_on_raw_properties(
    server: fast.ApiServer, kind: str, properties: dict[str, str], well: bool
) -> None:
    """What the API server lets through is what the plan accepts, and the other way round."""
    spec = {**SPECS[kind], **_raw(kind, properties)}
    judged = {"KafkaConnection": kafkaconnection, "ConnectCluster": connectcluster, "Connector": connector}[kind].judge(
        worlds.resource(kind, "x", spec)
    )

    assert (judged.problem is None) is well
    assert (not _refusal(server, kind, spec)) is well


@pytest.mark.apiserver
@pytest.mark.case("clusters-11")
@pytest.mark.parametrize(("kind", "name", "well"), NAMES)
def test_a_name_that_something_made_of_it_cannot_have_is_refused(
    server: fast.ApiServer, kind: str, name: str, well: bool
) -> None:
    """In the user's words by the API server, and by the plan, where the definitions are older."""
    answer = _refusal(server, kind, SPECS[kind], name)
    naming = next(one for one in KINDS if one.name == kind).naming
    world = statuses.WORLDS[kind]()
    plan = statuses.planned(dataclasses.replace(world, resource=worlds.resource(kind, name, SPECS[kind])))
    accepted = worlds.condition(plan, "Accepted")

    assert (not answer) is well
    assert (f'metadata.name: Invalid value: "object": {naming.message}' in answer) is not well
    assert (accepted["status"] == "True") is well
    assert (naming.message in accepted["message"]) is not well
    assert well or not plan.actions


@pytest.mark.apiserver
@pytest.mark.case("clusters-11")
@pytest.mark.parametrize(("prefix", "well"), PREFIXES)
def test_schema_and_plan_agree_on_prefixes_of_topics(server: fast.ApiServer, prefix: str, well: bool) -> None:
    spec = {**SPECS["Connector"], "topics": {"prefix": prefix}}
    problem = connector.judge(worlds.resource("Connector", "x", spec)).problem

    assert (problem is None) is well
    assert (not _refusal(server, "Connector", spec)) is well


@pytest.mark.apiserver
@pytest.mark.case("clusters-11")
@pytest.mark.parametrize("kind", ["Consumer", "ConnectCluster"])
def test_what_had_such_a_name_before_can_still_be_edited_and_told_of(server: fast.ApiServer, kind: str) -> None:
    older = [one for one in crd.manifests() if one["spec"]["names"]["kind"] == kind]
    for version in older[0]["spec"]["versions"]:
        del version["schema"]["openAPIV3Schema"]["x-kubernetes-validations"]
    status = {"accepted": {"generation": 1, "spec": SPECS[kind]}, "conditions": [{"type": "Ready", "status": "True"}]}
    client, create = server.client, partial(server.client.create, _made(kind, SPECS[kind], "older.v2"))
    try:
        client.apply(older)
        until("the older definition", lambda: not refusal(create))
        client.patch(kind, "older.v2", {"status": status}, part="status")
    finally:
        client.apply(crd.manifests())
    until("the definition", lambda: _refusal(server, kind, SPECS[kind], "new.v2"))

    client.patch(kind, "older.v2", {"metadata": {"labels": {"a": "b"}}})
    client.patch(kind, "older.v2", {"status": {"observedGeneration": 2}}, part="status")
    client.delete(kind, "older.v2")


@pytest.mark.apiserver
@pytest.mark.case("clusters-11")
@pytest.mark.parametrize(
    ("credentials", "well"),
    [
        ({"secret": "shop.db-login", "passwordKey": "DB_pass.word"}, True),
        ({"secret": "shop_db"}, False),
        ({"secret": "shop-db", "passwordKey": "a} ${secrets:shop/other:b"}, False),
    ],
)
def test_a_reference_is_what_the_name_of_such_an_object_can_be(
    server: fast.ApiServer, credentials: dict[str, str], well: bool
) -> None:
    spec = {**SPECS["Connector"], "postgres": {**POSTGRES, "credentials": credentials}}

    assert (not _refusal(server, "Connector", spec)) is well


@pytest.mark.apiserver
@pytest.mark.case("delivery-18")
@pytest.mark.parametrize(("duration", "well"), DURATIONS)
def test_schema_and_plan_agree_on_lengths_of_time(server: fast.ApiServer, duration: str, well: bool) -> None:
    """Wherever one stands; what is refused is never in the contract, and the field is named."""
    for part, field in (
        ({"handler": {"http": {**HTTP["http"], "timeout": duration}}}, "spec.handler.http.timeout"),
        ({"handler": {"python": {"function": "a:b", "timeout": duration}}}, "spec.handler.python.timeout"),
        ({"delivery": {"retry": {"backoff": {"initial": duration}}}}, "spec.delivery.retry.backoff.initial"),
        ({"delivery": {"retry": {"backoff": {"max": duration}}}}, "spec.delivery.retry.backoff.max"),
        ({"delivery": {"retry": {"maxAge": duration}}}, "spec.delivery.retry.maxAge"),
        ({"delivery": {"retry": {"maxInMemory": duration}}}, "spec.delivery.retry.maxInMemory"),
    ):
        spec = {**SPECS["Consumer"], **part}
        answer = _refusal(server, "Consumer", spec)
        problem = judge(ConsumerSpec, worlds.resource("Consumer", "x", spec)).problem

        assert (not answer) is well, answer
        assert (field in answer) is not well
        assert (problem is None) is well
        assert problem is None or field.removeprefix("spec.") in problem.message


@pytest.mark.apiserver
@pytest.mark.case("clusters-6")
@pytest.mark.parametrize(
    ("topic", "well"),
    [
        *((topic, True) for topic in ("orders", "a.b-c_D9", ".hidden", "..x", "...", "x" * 249, "x.")),
        *((topic, False) for topic in ("", ".", "..", "a b", "a/b", "ü", "a\n", "a\0", "x" * 250, "${a:b}")),
    ],
    ids=range(17),
)
def test_schema_and_plan_agree_on_names_of_topics(server: fast.ApiServer, topic: str, well: bool) -> None:
    spec = {**SPECS["Consumer"], "from": {"kafka": "kafka", "topics": ["orders", topic]}}

    assert (sources.judge(worlds.resource("Consumer", "x", spec)).problem is None) is well
    assert (not _refusal(server, "Consumer", spec)) is well


@pytest.mark.apiserver
@pytest.mark.parametrize("kind", SPECS)
def test_the_api_server_takes_the_shortest_spec_and_refuses_a_typo(server: fast.ApiServer, kind: str) -> None:
    assert not _refusal(server, kind, SPECS[kind])
    assert 'unknown field "spec.sclae"' in _refusal(server, kind, {**SPECS[kind], "sclae": {}})


@pytest.mark.apiserver
def test_the_category_and_short_names_list_the_kinds(server: fast.ApiServer) -> None:
    for name in ("headrace", "hrkafka", "hrconnect", "hrconn", "hrc"):
        kubectl(server, "get", name, "-A")


def _raw(kind: str, properties: dict[str, str]) -> dict[str, Any]:
    match kind:
        case "KafkaConnection":
            return {"properties": properties}
        case "ConnectCluster":
            return {"workers": {"config": properties}}
        case _:
            return {"config": properties}


def _refusal(server: fast.ApiServer, kind: str, spec: dict[str, Any], name: str = "x") -> str:
    """Return what the API server has against a resource; nothing when it would take it."""
    return refusal(partial(server.client.create, _made(kind, spec, name), dry=True))


def _made(kind: str, spec: dict[str, Any], name: str) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
