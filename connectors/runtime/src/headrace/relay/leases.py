"""The buckets that this replica holds: taken and given up in the database, believed by our own clock alone.

A lease is over by the database's clock; its holder counts from before it asked, by a clock that only runs forward, so
that it stops before another may begin, however the clocks of the machines differ.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid

from headrace.outbox import Relay
from headrace.relay.sharing import BUCKETS, Lease, to_release, to_take, wanted
from headrace.relay.source import Source, Trouble

log = logging.getLogger(__name__)

MARGIN = 1.0
"""Seconds by which a holder stops early."""


class Leases:
    """What is held now. Its methods raise `Trouble`, after which what was held is held until it is over."""

    def __init__(self, source: Source, settings: Relay) -> None:
        self._source = source
        self._statements = source.leases
        self._seconds, self._patience = settings.lease, settings.patience
        self._own = f"{os.environ.get('HOSTNAME') or socket.gethostname()}/{uuid.uuid4().hex[:12]}"[:120]
        self._relay, self._table = f"{settings.namespace}/{settings.relay}", settings.table
        self._is_prepared = False
        self._next = 0.0
        self._until = 0.0
        self._held: frozenset[int] = frozenset()

    @property
    def held(self) -> frozenset[int]:
        """The buckets whose rows may be published now."""
        return self._held if self.is_live else frozenset()

    @property
    def is_live(self) -> bool:
        """Whether what was held is held still."""
        return time.monotonic() < self._until

    def share(self) -> None:
        """Where it is time: say that we live, give up what is another's, take or renew what is ours.

        Nothing of what is held may be under way.
        """
        if time.monotonic() < self._next:
            return
        self._prepare()
        self._claim()
        before = time.monotonic()
        self._ask(self._statements.announce(self._own))
        leases, replicas = self._seen()
        ours = wanted(replicas, self._own)
        if released := to_release(leases, ours, self._own):
            self._held -= released
            self._ask(self._statements.release(released, self._own))
        if taken := to_take(leases, ours, self._own):
            self._ask(self._statements.take(taken, self._own))
        self._hold(before)

    def renew(self) -> None:
        """Where it is time: keep what is held, and nothing else, as some of it is under way."""
        now = time.monotonic()
        if now < self._next or self._until - now < 2 * self._patience:
            return
        kept = self._source.changed("share out", self._statements.take(self._held, self._own))
        if kept == len(self._held):
            self._believe(now)
        else:
            self._until = 0.0

    def leave(self) -> None:
        """Give up all that is held, so that others need not wait."""
        held, self._held, self._until = self._held, frozenset(), 0.0
        if held:
            self._ask(self._statements.release(held, self._own))
        self._ask(self._statements.leave(self._own))

    def _prepare(self) -> None:
        if not self._is_prepared:
            self._ask(self._statements.prepare())
            self._ask(self._statements.leave(""))
            self._is_prepared = True

    def _claim(self) -> None:
        """Take the outbox for this relay: two would publish a part of its rows each, to topics of their own."""
        if self._source.changed("share out", self._statements.claim(self._relay)):
            return
        ((other,),) = self._source.run("read the leases of", self._statements.owner())
        words = f"the relay {other} publishes {self._table} (this one is {self._relay}), and an outbox has one relay"
        raise Trouble(f"{words}: let one of the two go, or give one another table")

    def _hold(self, asked: float) -> None:
        names = self._source.run("read the leases of", self._statements.held(self._own))
        held = frozenset(int(name.partition("/")[2]) for (name,) in names)
        if held != self._held:
            log.info("holding %d of %d buckets", len(held), BUCKETS)
        self._held = held
        self._believe(asked)

    def _believe(self, asked: float) -> None:
        self._until = asked + self._seconds - MARGIN
        self._next = asked + self._seconds / 4

    def _seen(self) -> tuple[list[Lease], set[str]]:
        leases, replicas = [], set()
        for name, holder, live in self._source.run("read the leases of", self._statements.all()):
            kind, _, number = name.partition("/")
            if kind == "bucket":
                leases.append(Lease(bucket=int(number), holder=holder, live=bool(live)))
            elif kind == "replica" and live:
                replicas.add(holder)
        return leases, replicas

    def _ask(self, asked: tuple[str, tuple[object, ...]]) -> None:
        self._source.run("share out", asked)
