"""What the group has in the end is what was sent last, in whatever order it is taken."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, TopicPartition

from headrace.kafka.sent import Sent

STALE = KafkaError(KafkaError.STALE_MEMBER_EPOCH)
FENCED = KafkaError(KafkaError.UNKNOWN_MEMBER_ID)
ORDERS = ("orders", 0)


def at(offset: int) -> TopicPartition:
    return TopicPartition(*ORDERS, offset, metadata=f"at {offset}")


def two() -> Sent:
    """Return what knows of two commits, one after the other."""
    sent = Sent()
    sent.note([at(1)])
    sent.note([at(2)])
    return sent


def again(sent: Sent) -> list[int]:
    return [one.offset for one in sent.take_again()]


def test_what_is_taken_in_order_is_not_sent_again() -> None:
    sent = two()
    assert sent.answer(at(1), None)
    assert sent.answer(at(2), None)
    assert again(sent) == []


@pytest.mark.case("delivery-3")
def test_what_is_overtaken_by_what_is_older_is_sent_again_once() -> None:
    sent = two()
    assert sent.answer(at(2), None)
    assert not sent.answer(at(1), None)
    assert again(sent) == [2]
    assert again(sent) == []


@pytest.mark.parametrize("first", [None, STALE, FENCED])
def test_of_those_whose_epoch_is_behind_the_last_alone_is_sent_again(first: KafkaError | None) -> None:
    sent = two()
    sent.answer(at(1), first)
    sent.answer(at(2), STALE)
    assert again(sent) == [2]


def test_what_is_refused_for_good_or_was_sent_again_is_not_sent_again() -> None:
    sent = two()
    sent.answer(at(2), FENCED)
    assert again(sent) == []
    sent.answer(at(2), STALE)
    sent.note([at(3)])
    assert again(sent) == []


def test_what_was_taken_away_is_not_sent_again() -> None:
    sent = two()
    sent.answer(at(2), None)
    sent.forget([ORDERS])
    assert sent.answer(at(1), None)
    sent.answer(at(2), STALE)
    assert again(sent) == []
