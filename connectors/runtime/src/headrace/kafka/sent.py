"""What was committed last of each partition: the client tries again what is refused for a while, after what came later.

So the group may have what is older, though what is newer was taken: then that is to be sent once more.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaError, TopicPartition

from headrace.flow.partitions import Partition


class Sent:
    """The last commit of each partition, and which of them are to be sent again as the process ends."""

    def __init__(self) -> None:
        self._last: dict[Partition, TopicPartition] = {}
        self._taken: set[Partition] = set()
        self.again: set[Partition] = set()

    def note(self, commit: Iterable[TopicPartition]) -> None:
        """Note that this is sent now."""
        for one in commit:
            name = _name(one)
            self._last[name] = one
            self._taken.discard(name)
            self.again.discard(name)

    def untold(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        """Return the last commits of these of which it is not known that the group took them."""
        return [self._last[name] for name in partitions if name in self._last and name not in self._taken]

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Forget these, which are taken away: their next owner commits."""
        for name in partitions:
            self._last.pop(name, None)
            self._taken.discard(name)
            self.again.discard(name)

    def take_again(self) -> list[TopicPartition]:
        """Return, once, what is to be sent again."""
        due, self.again = self.again, set()
        return [self._last[name] for name in due]

    def answer(self, answered: TopicPartition, failure: KafkaError | None) -> bool:
        """Note what became of a commit; False when it was taken after what was sent later.

        What was refused for an epoch that is behind is taken the next time.
        """
        name = _name(answered)
        last = self._last.get(name)
        is_last = last is not None and _said(last) == _said(answered)
        if is_last and failure is None:
            self._taken.add(name)
        overtaken = failure is None and not is_last and name in self._taken
        if overtaken or (is_last and failure is not None and failure.code() == KafkaError.STALE_MEMBER_EPOCH):
            self.again.add(name)
        return not overtaken


def content(commit: Iterable[TopicPartition]) -> frozenset[tuple[Partition, int, str]]:
    """Return what a commit says, by which its answer is known."""
    return frozenset((_name(one), *_said(one)) for one in commit)


def _name(one: TopicPartition) -> Partition:
    return one.topic, one.partition


def _said(one: TopicPartition) -> tuple[int, str]:
    return one.offset, one.metadata or ""
