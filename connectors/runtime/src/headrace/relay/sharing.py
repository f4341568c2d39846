"""How replicas share an outbox: which lanes fall into which bucket is SQL's, who is to hold a bucket is decided here.

Pure. Every replica that sees the same replicas comes to the same answer, and holds only what a lease gives it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

BUCKETS = 64
"""Into so many parts the rows are hashed, by their key, or their id where they have none."""

ALL = frozenset(range(BUCKETS))


@dataclass(frozen=True, kw_only=True)
class Lease:
    """Who holds a bucket; ``live``: the lease is not over by the database's clock."""

    bucket: int
    holder: str
    live: bool


def wanted(replicas: Collection[str], own: str) -> frozenset[int]:
    """Return the buckets that ``own`` is to hold among the ``replicas`` that live, itself among them or not."""
    order = sorted({*replicas, own})
    return frozenset(range(order.index(own), BUCKETS, len(order)))


def to_release(leases: Sequence[Lease], wanted: Collection[int], own: str) -> frozenset[int]:
    """Return the buckets that ``own`` holds and another is to have."""
    return frozenset(one.bucket for one in leases if one.holder == own and one.live and one.bucket not in wanted)


def to_take(leases: Sequence[Lease], wanted: Collection[int], own: str) -> frozenset[int]:
    """Return the buckets that ``own`` is to have and nobody else holds, also those that it holds already."""
    return frozenset(one.bucket for one in leases if one.bucket in wanted and (one.holder == own or not one.live))
