"""The Kafka consumer of one pod: its settings, its messages as records, its errors told apart.

One thread owns it. Offsets are committed only explicitly and never reset: a partition without a committed offset
starts at its beginning, one whose offset is gone stops loudly.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from headrace.config import Config
from headrace.flow.budget import weight
from headrace.flow.offsets import Span
from headrace.flow.partitions import Partition
from headrace.flow.patience import Patience
from headrace.kafka import glances, sent, settings
from headrace.kafka.answers import Answers, Then
from headrace.kafka.connection import Login
from headrace.kafka.epochs import Comparison, Epochs
from headrace.kafka.given import Given
from headrace.kafka.handover import await_taken
from headrace.kafka.membership import Membership
from headrace.kafka.messages import record_of
from headrace.kafka.read import Read
from headrace.progress import LONGEST

log = logging.getLogger(__name__)

READ_BYTES = 4 * 1024 * 1024
"""Bytes after which one read brings no more."""

STEP = 0.1
"""Seconds of one wait for the answers to the last commits, and until one is sent again."""

AWAITED = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
OUT_OF_RANGE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})


class Fatal(Exception):
    """The client cannot go on; the process must start anew."""


class CommitFailed(Exception):
    """A commit cannot be sent; what it covers may be delivered again."""


class Committed(NamedTuple):
    """What the group has committed of a partition."""

    offset: int
    metadata: str | None


class Source:
    """A member of the consumer group, subscribed to the source topics and the retry topic."""

    def __init__(self, config: Config) -> None:
        self._topics = [*config.topics.sources, config.topics.retry]
        self._retry = config.topics.retry
        self._id_header = config.delivery.message_id_header or ""
        self._awaited: str | None = None
        self._membership = Membership(config.group_protocol)
        self._given = Given()
        self._begun: dict[Partition, TopicPartition] = {}
        self._answers = Answers()
        self._sent = sent.Sent()
        self._epochs = Epochs()
        self._comparison = Comparison()
        self.room = LONGEST
        """Characters of metadata that Kafka takes with a commit; fewer once it has refused them."""
        self._config = config
        self._assigned: Callable[[dict[Partition, Committed | None]], None] = lambda partitions: None
        self._revoked: Callable[[list[Partition], bool], None] = lambda partitions, lost: None
        self._committed: Callable[[Partition, int | None], None] = lambda partition, offset: None
        self._opens = 0
        self._leaves = False
        self._client = self._opened()

    def _opened(self) -> Consumer:
        self._opens += 1
        number = self._opens
        return _consumer(
            {
                **settings.of(self._config),
                "on_commit": lambda *what: self._on_commit(*what) if number == self._opens else None,
                "error_cb": lambda error: log.warning("consumer: %s", error.str()),
            }
        )

    def log_in(self, login: Login) -> None:
        """Log in as this user from the next connection on."""
        self._client.set_sasl_credentials(*login)

    def reopen(self) -> None:
        """Join the group by a client that reads the mounted files anew; raises as the first did.

        What was assigned is lost first. The old client leaves beside: where it no longer knows the brokers, that takes
        as long as they are away.
        """
        fresh, had = self._opened(), _names(self._client.assignment())
        self._comparison.forget(had)
        self._given.clear()
        self._revoked(had, True)
        left, self._client = self._client, fresh
        self._answers.end()
        self._sent = sent.Sent()
        threading.Thread(target=left.close, name="leave", daemon=True).start()
        self._join()

    def subscribe(
        self,
        *,
        assigned: Callable[[dict[Partition, Committed | None]], None],
        revoked: Callable[[list[Partition], bool], None],
        committed: Callable[[Partition, int | None], None],
    ) -> None:
        """Join the group; all three are called from `read`, `reopen` and `close`.

        ``assigned`` is given what is committed, None where nothing is yet; ``committed`` None when it failed.
        ``revoked`` is told whether the partitions were lost, which leaves no right to commit.
        """
        self._assigned, self._revoked, self._committed = assigned, revoked, committed
        self._join()

    @property
    def has_joined(self) -> bool:
        """Whether it is a member to which the group gives nothing, or not yet, and does not say so."""
        return not self.waits and self._membership.has_joined(self._client)

    @property
    def waits(self) -> bool:
        """Whether it has been given what it does not read: it is not known yet from where on; any thread may ask."""
        return bool(self._given)

    def _join(self) -> None:
        gone, lost = partial(self._on_gone, lost=False), partial(self._on_gone, lost=True)
        self._client.subscribe(self._topics, on_assign=self._on_assign, on_revoke=gone, on_lost=lost)

    def _on_assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        """Begin with what is given, but to a client that leaves: its group answers no question, and takes it back.

        Where it is not known from where on, nothing is taken yet: the group is asked again at each read.
        """
        if client is not self._client or self._leaves:
            self._membership.take(client, partitions)
            return
        self._given.add(partitions)
        if not self._begin_given():
            self._membership.take(client, [])

    def _begin_given(self) -> bool:
        """Begin with all that was given; False where it is not known from where on."""
        starts = self._committed_offsets()
        if starts is None:
            return False
        committed = {name: _committed(at) for name, at in zip(_names(starts), starts, strict=True)}
        self._find_beginnings(starts)
        self._begun |= dict(zip(_names(starts), starts, strict=True))
        self._epochs.begin(starts)
        self._membership.take(self._client, starts)
        self._comparison.begin(starts)
        self._comparison.ask(self._client)
        self._assigned(committed)
        return True

    def _committed_offsets(self) -> list[TopicPartition] | None:
        try:
            return self._given.take(self._client)
        except KafkaException as error:
            raise Fatal(
                f"cannot read the group's committed offsets of what was assigned: {error.args[0].str()}"
            ) from error

    def _on_gone(self, client: Consumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        """Tell what is revoked or lost, but of a client that was left: what it had is told of already."""
        if client is self._client:
            partitions = self._given.others(partitions)
            self._comparison.forget(_names(partitions))
            self._revoked(_names(partitions), lost)
            self._hand_over(_names(partitions), lost=lost)
        self._membership.leave(client, partitions)

    def _hand_over(self, partitions: list[Partition], *, lost: bool) -> None:
        if not (lost or self._leaves):
            await_taken(self._client, self._sent.untold(partitions), lambda commit: self._send(commit, None))
        self._sent.forget(partitions)

    def read(self, most: int, timeout: float) -> Read:
        """Return what arrives within ``timeout`` seconds, and at most ``most`` more records without more waiting.

        Stops soon after `READ_BYTES`. Raises Fatal when the client cannot go on.
        """
        if self._given.is_due(time.monotonic()):
            self._begin_given()
        self._comparison.ask(self._client)
        first = self._client.poll(timeout)
        if first is None:
            return Read([], [], [])
        result = Read([], [], [])
        self._begun.clear()
        self._take(first, result)
        self._take_more(most, result)
        if self._begun:
            result = self._started_over(result)
        self._comparison.forget(name for name, _ in result.lost)
        result = result.without(self._comparison.left)
        self._epochs.read(result.records)
        return result

    def _take_more(self, most: int, result: Read) -> None:
        """Take chunks that grow as long as what was taken stays small: nobody knows how large the next record is."""
        chunk, taken, size = 1, 0, 0
        while (room := most - len(result.records)) > 0:
            size += sum(map(weight, result.records[taken:]))
            if size >= READ_BYTES:
                return
            taken = len(result.records)
            messages = self._client.consume(min(chunk, room), 0)
            for message in messages:
                self._take(message, result)
            if len(messages) < min(chunk, room):
                return
            chunk *= 4

    def _started_over(self, result: Read) -> Read:
        """Read anew what was assigned amid a read, and leave it out: some of its records may be of the time before."""
        starts = [self._begun[one] for one in _names(self._client.assignment()) if one in self._begun]
        self._membership.move(self._client, starts, self._begun)
        self._comparison.begin(starts)
        return result.without(self._begun)

    def commit(self, offsets: Iterable[tuple[Partition, int, str]], then: Then | None = None) -> None:
        """Send a commit of offsets, each with its metadata; raises CommitFailed when that is not possible.

        With each goes the epoch of the leader that wrote what was read last, for whoever compares it with the log.
        `committed` and ``then`` are told what became of it. It waits for nobody: the client's own wait stands for as
        long as the coordinator hangs, and lets no other call in. What is revoked then is given away once the
        group has it.
        """
        wanted = [
            TopicPartition(*at, offset, metadata=text, leader_epoch=self._epochs.of(at, offset))
            for at, offset, text in offsets
        ]
        if wanted:
            self._send(wanted, then)
        elif then is not None:
            then(True)

    def _send(self, wanted: list[TopicPartition], then: Then | None) -> None:
        try:
            self._client.commit(offsets=wanted, asynchronous=True)
        except KafkaException as error:
            raise CommitFailed(str(error)) from error
        self._answers.sent(sent.content(wanted), then)
        self._sent.note(wanted)

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the offset after all that can be read now; without partitions whose end is not answered in time."""
        return glances.bounds(self._client, partitions, OFFSET_END)

    def span(self, partition: Partition) -> Span | None:
        """Return the offsets that the log of ``partition`` has and that can be read now; None when nobody answers."""
        return glances.span(self._client, partition)

    def go_on(
        self, positions: Mapping[Partition, int | None], elsewhere: Collection[Partition], again: Collection[Partition]
    ) -> None:
        """Read on at these offsets, None is the beginning; they must be of all that is assigned.

        Of what goes on ``elsewhere`` than where it was read the log is not compared with what was known; with what is
        read ``again``, from earlier on, it is. The client
        takes a partition that it stopped for its offset back with an assignment only. What it had fetched ahead is
        fetched again.
        """
        self._epochs.forget(elsewhere)
        self._comparison.forget(elsewhere)
        places = ((at, OFFSET_BEGINNING if offset is None else offset) for at, offset in positions.items())
        starts = [TopicPartition(*at, offset, leader_epoch=self._epochs.of(at, offset)) for at, offset in places]
        self._membership.move(self._client, starts, {*elsewhere, *again})

    def read_again(self, partition: Partition, offset: int) -> bool:
        """Read on at ``offset``, which was read before; False where that cannot be said to the client now."""
        try:
            self._client.seek(TopicPartition(*partition, offset))
        except KafkaException as error:
            log.info("%s/%d is not read again from %d on yet: %s", *partition, offset, error.args[0].str())
            return False
        return True

    def counts(self) -> dict[str, int] | None:
        """Return how many partitions each topic has that exists; None when that is not answered in time."""
        return glances.counts(self._client, self._topics)

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Stop fetching these partitions; drops what the client had fetched ahead."""
        self._client.pause([TopicPartition(*partition) for partition in partitions])

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch these partitions again."""
        self._client.resume([TopicPartition(*partition) for partition in partitions])

    def settle(self, seconds: float) -> bool:
        """Read nothing more, and wait so long at most until all commits are answered; False where some are not.

        What was refused for an epoch that is behind, or overtaken by what is older, is sent again.
        """
        self._leaves = True
        patience = Patience(seconds, time.monotonic())
        while (self._answers.outstanding or self._sent.again) and not patience.is_over(time.monotonic()):
            self._client.poll(STEP)
            if self._sent.again:
                self._send(self._sent.take_again(), None)
        return not self._answers.outstanding

    def close(self) -> None:
        """Leave the group, which takes until all commits are answered."""
        self._leaves = True
        self._client.close()

    def _find_beginnings(self, starts: list[TopicPartition]) -> None:
        """Let those without a committed offset start at the first one there is.

        The client would ask for it itself, but half a second later each time that the partition is paused meanwhile.
        """
        fresh = [start for start in starts if start.offset < 0]
        first = glances.bounds(self._client, _names(fresh), OFFSET_BEGINNING)
        for start in fresh:
            start.offset = first.get((start.topic, start.partition), OFFSET_BEGINNING)

    def _take(self, message: Message, result: Read) -> None:
        error = message.error()
        if error is None:
            result.records.append(record_of(message, self._retry, self._config.group, self._id_header))
        elif error.code() == KafkaError._PARTITION_EOF:
            result.ends.append(((str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)))
        elif error.code() in OUT_OF_RANGE and message.topic() is not None:
            log.warning("reading %s/%s: %s", message.topic(), message.partition(), error.str())
            result.lost.append(((str(message.topic()), int(message.partition() or 0)), message.offset()))
        elif error.fatal():
            raise Fatal(error.str())
        elif error.code() in AWAITED:
            self._await(error.str())
        else:
            log.warning("reading: %s", error.str())

    def _await(self, what: str) -> None:
        if what != self._awaited:
            log.info("waiting for a topic: %s", what)
        self._awaited = what

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        taken = [self._is_taken(done, error or done.error) for done in partitions]
        self._answers.came(sent.content(partitions), taken=error is None and all(taken))

    def _is_taken(self, done: TopicPartition, failure: KafkaError | None) -> bool:
        """Tell what became of the commit of one partition; return whether the group has it, and had nothing newer."""
        name, is_in_order = (done.topic, done.partition), self._sent.answer(done, failure)
        if failure is not None:
            self._learn_room(failure)
            log.warning("commit of %s/%d failed: %s", *name, failure.str())
        self._committed(name, None if failure else done.offset)
        if not is_in_order:
            log.warning("commit of %s/%d was taken after a later one, which is sent again", *name)
            self._committed(name, None)
        return failure is None and is_in_order

    def _learn_room(self, error: KafkaError) -> None:
        """Take less room for metadata where the broker's ``offset.metadata.max.bytes`` is below its default."""
        if error.code() == KafkaError.OFFSET_METADATA_TOO_LARGE:
            self.room //= 2


def _consumer(properties: dict[str, object]) -> Consumer:
    try:
        return Consumer(properties)
    except KafkaException as error:
        raise Fatal(f"the settings of the Kafka client are refused: {error}") from error


def _committed(at: TopicPartition) -> Committed | None:
    return None if at.offset < 0 else Committed(at.offset, at.metadata)


def _names(partitions: Iterable[TopicPartition]) -> list[Partition]:
    return [(partition.topic, partition.partition) for partition in partitions]
