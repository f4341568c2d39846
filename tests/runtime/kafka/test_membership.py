"""What a member of a group is told, and what it asks again."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from headrace.config import Config, GroupProtocol
from headrace.kafka import membership
from tests.runtime.configs import BILLING


class Group:
    """Refuses a member for a while, by this error, and then takes what it says."""

    def __init__(self, code: int, times: int) -> None:
        self.code = code
        self.times = times

    def ask(self) -> str:
        if self.times:
            self.times -= 1
            raise KafkaException(KafkaError(self.code))
        return "taken"


def test_a_member_whose_epoch_is_behind_asks_again() -> None:
    assert membership.with_epoch(Group(KafkaError.STALE_MEMBER_EPOCH, 3).ask) == "taken"


def test_an_epoch_that_stays_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "BEHIND", 0.3)
    with pytest.raises(KafkaException, match="STALE_MEMBER_EPOCH"):
        membership.with_epoch(Group(KafkaError.STALE_MEMBER_EPOCH, 1_000).ask)


@pytest.mark.parametrize("code", [KafkaError.FENCED_MEMBER_EPOCH, KafkaError.UNKNOWN_MEMBER_ID])
def test_a_member_that_the_group_has_given_up_does_not_insist(code: int) -> None:
    group = Group(code, 1)
    with pytest.raises(KafkaException):
        membership.with_epoch(group.ask)
    assert group.times == 0


def tuned(protocol: GroupProtocol, **properties: str) -> Config:
    """Return a Consumer with this protocol and these properties of its KafkaConnection."""
    named = {name.replace("_", "."): value for name, value in properties.items()}
    kafka = BILLING.kafka.model_copy(update={"properties": named})
    return BILLING.model_copy(update={"group_protocol": protocol, "kafka": kafka})


def test_the_session_is_the_clients_with_the_classic_protocol_alone() -> None:
    assert membership.session(tuned("classic")) == 15
    assert membership.session(tuned("classic", session_timeout_ms="6000")) == 6
    assert membership.session(tuned("consumer", session_timeout_ms="6000")) == 15


def test_what_the_brokers_set_is_left_to_them() -> None:
    properties = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000", "client.rack": "a"}
    assert membership.allowed(properties, "consumer") == {"client.rack": "a"}
    assert membership.allowed(properties, "classic") == properties
    assert set(membership.tuning(tuned("consumer"))) == {"max.poll.interval.ms"}
