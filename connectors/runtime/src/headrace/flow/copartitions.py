"""Which source partitions must wait for the retry partition of their number: what is put back runs with its key there.

The group assigns topics of equally many partitions alike (range), so both come to one pod, and the operator gives the
retry topic as many as the largest source has. Until then what is put back would run beside its key. Pure: no Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.flow.partitions import Partition


def beside(partitions: Iterable[Partition], owned: Iterable[Partition]) -> frozenset[Partition]:
    """Return what else is ``owned`` of the numbers of ``partitions``, which come or go by themselves (KIP-848).

    What is parked lies in several partitions of a number, or is on the way from one to another: so all of them begin
    anew, as with another owner.
    """
    these = frozenset(partitions)
    numbers = {number for _, number in these}
    return frozenset(one for one in owned if one[1] in numbers) - these


def apart(owned: Iterable[Partition], retry: str) -> frozenset[Partition]:
    """Return the source partitions of all that is ``owned`` whose retry partition is not; ``retry`` is that topic."""
    everything = frozenset(owned)
    here = {number for topic, number in everything if topic == retry}
    return frozenset(one for one in everything if one[0] != retry and one[1] not in here)


def waiting(alone: Iterable[Partition], retry: str, counts: Mapping[str, int] | None) -> frozenset[Partition]:
    """Return those that must wait, of partitions that are ``alone`` (`apart`); ``counts`` are partitions of topics.

    All wait while ``counts`` are not known, none where no retry topic is there, as nothing can be put back. A topic
    with fewer partitions than the retry topic is assigned in another way: it would wait for ever, so it does not.
    """
    if counts is None:
        return frozenset(alone)
    most = counts.get(retry)
    return frozenset(one for one in alone if most is not None and counts.get(one[0], most) >= most)
