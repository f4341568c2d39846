"""A commit that the client tries again is taken after one that was sent later: the group has the later one in the end.

The broker is librdkafka's mock, which refuses the first of two commits as a coordinator does that loads its group.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, TopicPartition

from headrace.config import GroupProtocol
from headrace.flow.partitions import Partition
from headrace.kafka.consumer import Committed, Source
from tests.mock_cluster import OFFSET_COMMIT, MockCluster, mocked
from tests.runtime.consumer_process import committed_offsets, make_world
from tests.waiting import until

pytestmark = pytest.mark.slow

LOADS = KafkaError.COORDINATOR_LOAD_IN_PROGRESS
STALE = KafkaError.STALE_MEMBER_EPOCH


class Member:
    """A member of a group that has its partition, and what it was told of its commits."""

    def __init__(self, cluster: MockCluster, folder: Path, protocol: GroupProtocol) -> None:
        world = make_world(cluster.broker, folder, protocol=protocol)
        self.config = world.config
        self.at: Partition = (world.source, 0)
        self.told: list[int | None] = []
        self.thens: list[bool] = []
        self.source = Source(world.config)
        given: list[object] = []
        self.source.subscribe(
            assigned=given.append,
            revoked=lambda partitions, lost: None,
            committed=lambda partition, offset: self.told.append(offset),
        )
        until("partitions", lambda: self.source.read(1, 0.1) and given, every=0.01)

    def turn_until(self, count: int) -> None:
        """Read until so many have been told of their commits."""
        until(f"{count} answers", lambda: self.source.read(1, 0.1) and len(self.thens) == count, every=0.01)

    def commit(self, *offsets: int) -> None:
        """Send one commit for each offset."""
        for offset in offsets:
            self.source.commit([(self.at, offset, f"at {offset}")], self.thens.append)

    def committed(self) -> tuple[int, str | None]:
        """Return what the group has."""
        (found,) = committed_offsets(self.source._client, [TopicPartition(*self.at)])
        return found.offset, found.metadata


@contextmanager
def joined(folder: Path, protocol: GroupProtocol = "classic") -> Iterator[tuple[MockCluster, Member]]:
    with mocked(1) as cluster:
        member = Member(cluster, folder, protocol)
        try:
            yield cluster, member
        finally:
            member.source.close()


@pytest.mark.case("delivery-3")
@pytest.mark.parametrize(
    ("protocol", "error", "times"),
    [("classic", LOADS, 1), ("consumer", LOADS, 1), ("consumer", STALE, 1), ("consumer", STALE, 2)],
)
def test_the_last_commit_stays_when_a_pod_ends(tmp_path: Path, protocol: GroupProtocol, error: int, times: int) -> None:
    with joined(tmp_path, protocol) as (cluster, member):
        cluster.refuse(OFFSET_COMMIT, error, times)
        member.commit(1, 2)
        assert member.source.settle(5)
        assert member.committed() == (2, "at 2")


@pytest.mark.case("delivery-3")
def test_a_pod_that_goes_on_is_told_that_the_group_has_not_what_was_sent_last(tmp_path: Path) -> None:
    """It sends it again then, as it does with what was refused."""
    with joined(tmp_path) as (cluster, member):
        cluster.refuse(OFFSET_COMMIT, LOADS, 1)
        member.commit(1, 2)
        member.turn_until(2)
        assert member.told == [2, 1, None]
        assert member.thens == [False, False]
        member.commit(2)
        member.turn_until(3)
        assert (member.told[3:], member.thens[2]) == ([2], True)


@pytest.mark.case("delivery-6")
def test_who_waits_for_a_commit_is_not_told_of_another_partitions(tmp_path: Path) -> None:
    """The commit that is waited for is tried again when that of the other, sent later, is taken already."""
    with joined(tmp_path) as (cluster, member):
        cluster.refuse(OFFSET_COMMIT, LOADS, 1)
        before: list[int | None] = []
        member.source.commit([(member.at, 1, "")], lambda taken: before.extend(member.told))
        member.source.commit([((member.at[0], 1), 7, "")])
        assert member.source.settle(5)
        assert before == [7, 1]


@pytest.mark.case("delivery-1")
@pytest.mark.parametrize("error", [LOADS, STALE, KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE])
def test_what_is_given_away_is_committed_before(tmp_path: Path, error: int) -> None:
    """The coordinator moves, or its group or the member's epoch changes, just as a partition is asked for."""
    given: list[dict[Partition, Committed | None]] = []
    with joined(tmp_path, "consumer") as (cluster, member):

        def give(partitions: list[Partition], lost: bool) -> None:
            cluster.refuse(OFFSET_COMMIT, error, 3)
            member.source.commit([(at, 5, "last") for at in partitions])

        member.source._revoked = give
        other = Source(member.config)
        other.subscribe(assigned=given.append, revoked=lambda *about: None, committed=lambda *about: None)
        until("the other's", lambda: (member.source.read(1, 0.01), other.read(1, 0.01)) and any(given), every=0.01)
        assert set(next(filter(None, given)).values()) == {Committed(5, "last")}
        other.close()
