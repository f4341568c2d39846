"""Passing over messages that were handled: what pods are given for it, and whether the window is long enough."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from headrace import config as contract
from headrace_operator.observed.kafka import SettingsSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import consumer
from headrace_operator.plan.actions import Apply, Plan
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.operator.worlds import condition

DEAD = "dlq.shop.billing"
REDIS: dict[str, Any] = {
    "url": "rediss://redis.shop:6379/3",
    "credentials": {"secret": "store", "usernameKey": "user"},
    "ca": {"secret": "store-ca", "key": "ca.pem"},
}
DAYS = {"retention.ms": str(7 * 86_400_000)}


def planned(asked: dict[str, Any] | None, dead: Any = None, **delivery: Any) -> Plan:
    """Return the plan of a Consumer that runs and asks for this; ``dead`` are the settings of its dead-letter topic."""
    world = statuses.settled("Consumer")
    more = delivery if asked is None else {"deduplication": asked, **delivery}
    settings = SettingsSeen(of={**world.settings.of, DEAD: dead or {"retention.ms": "-1"}}, fresh=False)
    world = dataclasses.replace(world, settings=settings)
    spec = {**worlds.CONSUMER.spec, "delivery": more}
    return consumer.plan(statuses.changed(world, spec=spec), worlds.SETTINGS, worlds.NOW)


def applied(plan: Plan, kind: str) -> dict[str, Any]:
    (found,) = [one.manifest for one in plan.actions if isinstance(one, Apply) and one.manifest["kind"] == kind]
    return dict(found)


def test_the_contract_names_files_and_never_a_login() -> None:
    """The Secrets are mounted, those of Redis beside those of Kafka; its user name may be missing."""
    plan = planned({"window": "36h", "redis": REDIS})

    config = contract.load(applied(plan, "ConfigMap")["data"]["config.json"])
    assert config.delivery.deduplication == contract.Deduplication(
        window=36 * 3600.0,
        redis=contract.Redis(
            url=REDIS["url"],
            username_file="/etc/headrace/redis/username",
            password_file="/etc/headrace/redis/password",
            ca_file="/etc/headrace/redis/ca.crt",
        ),
    )
    pod = applied(plan, "Deployment")["spec"]["template"]["spec"]
    (mounted,) = [one["projected"]["sources"] for one in pod["volumes"] if one["name"] == "redis"]
    assert [one["secret"] for one in mounted] == [
        {"name": "store", "items": [{"key": "password", "path": "password"}]},
        {"name": "store", "items": [{"key": "user", "path": "username"}], "optional": True},
        {"name": "store-ca", "items": [{"key": "ca.pem", "path": "ca.crt"}]},
    ]
    (place,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "redis"]
    assert (place["mountPath"], place["readOnly"]) == ("/etc/headrace/redis", True)


def test_memory_needs_nothing_mounted() -> None:
    plan = planned({"memory": {}})

    config = contract.load(applied(plan, "ConfigMap")["data"]["config.json"])
    assert config.delivery.deduplication == contract.Deduplication(memory=contract.Memory())
    assert "redis" not in json.dumps(applied(plan, "Deployment"))


def test_the_header_of_message_ids_goes_to_the_pods() -> None:
    """Whether or not messages are remembered: the inbox and an HTTP target know them by it, too."""
    plan = planned(None, messageIdHeader="event-id")

    config = contract.load(applied(plan, "ConfigMap")["data"]["config.json"])
    assert config.delivery.message_id_header == "event-id"
    assert config.delivery.deduplication is None


def test_a_login_in_the_address_is_refused() -> None:
    plan = planned({"redis": {"url": "redis://:s3cret@redis:6379/0"}})

    accepted = condition(plan, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "PasswordInConfig")
    assert "spec.delivery.deduplication.redis.url" in accepted["message"]
    assert "s3cret" not in json.dumps([one.get("message") for one in plan.status["conditions"]])


def test_an_authority_for_an_address_that_is_not_encrypted_is_refused() -> None:
    plan = planned({"redis": {**REDIS, "url": "redis://redis.shop:6379/3"}})

    accepted = condition(plan, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert "spec.delivery.deduplication.redis.ca is for rediss://" in accepted["message"]


@pytest.mark.parametrize(
    ("url", "well"),
    [
        ("redis://redis", True),
        ("rediss://redis.shop.svc:6379/15", True),
        ("redis://[fd00::1]:6379", True),
        ("redis://redis:port", False),
        ("redis://redis:6379:6379", False),
        ("redis://redis:", False),
        ("redis://[::1", False),
        ("redis://two words:6379", False),
    ],
)
def test_an_address_of_redis_has_a_host_and_a_port_in_digits(url: str, well: bool) -> None:
    accepted = condition(planned({"redis": {"url": url}}), "Accepted")
    assert (accepted["status"] == "True") is well, accepted


@pytest.mark.parametrize(
    ("asked", "dead", "delivery", "status", "said"),
    [
        (
            {"window": "8d"},
            DAYS,
            {},
            "True",
            "for 8d, its dead letters are kept for 7d, and a redrive takes up to 1h11m.",
        ),
        (
            {"window": "7d"},
            DAYS,
            {},
            "False",
            "for 7d, its dead letters are kept for 7d, and a redrive takes up to 1h11m:",
        ),
        ({"window": "170h"}, DAYS, {"retry": {"maxAge": "2h"}}, "False", "a redrive takes up to 2h10s:"),
        ({"window": "170h"}, DAYS, {"retry": {"maxAge": "119m"}}, "True", "a redrive takes up to 1h59m."),
        ({}, None, {}, "False", "for 7d, its dead letters are kept for ever, and a redrive takes up to 1h11m:"),
    ],
)
def test_the_window_is_longer_than_dead_letters_and_a_redrive_or_it_is_said(
    asked: dict[str, Any], dead: Any, delivery: dict[str, Any], status: str, said: str
) -> None:
    """All three numbers, whatever comes of them; the Consumer is ready all the same."""
    plan = planned({"memory": {}, **asked}, dead, **delivery)

    found = condition(plan, "DedupeWindow")
    assert found["status"] == status
    assert said in found["message"]
    assert ("headrace.inbox" in found["message"]) == (status == "False")
    assert not [one for one in plan.status["conditions"] if one["type"] == "Ready" and one["reason"] == found["reason"]]


@pytest.mark.parametrize("dead", [Unknown(reason="not allowed"), {"cleanup.policy": "delete"}])
def test_a_retention_that_is_not_known_is_not_taken_for_short(dead: Any) -> None:
    found = condition(planned({"memory": {}}, dead), "DedupeWindow")

    assert (found["status"], found["reason"]) == ("Unknown", "SettingsUnknown")


def test_nothing_is_said_where_nothing_is_asked_for() -> None:
    assert "DedupeWindow" not in [one["type"] for one in planned(None).status["conditions"]]
