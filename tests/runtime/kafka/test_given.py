"""A group that does not tell what is committed is asked again, and all else goes on for as long in between."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from headrace.kafka.given import ANSWER, Given


class Group:
    """Tells nothing for so many seconds of a clock, and then that."""

    def __init__(self, patches: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self._seconds = 100.0, seconds
        patches.setattr(time, "monotonic", lambda: self.now)

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> None:
        self.now += self._seconds
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


@pytest.mark.parametrize("seconds", [ANSWER, 0.01])
def test_it_is_asked_half_of_the_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    group, given = Group(monkeypatch, seconds), Given()
    assert not given.is_due(group.now)
    given.add([TopicPartition("orders", 0)])
    assert given.is_due(group.now)
    assert given.take(group) is None
    assert not given.is_due(group.now + 0.9 * seconds)
    assert given.is_due(group.now + 1.1 * seconds)
    given.clear()
    assert not given.is_due(group.now + 1.1 * seconds)
