"""Whose turn it is: which of the keys that are due comes next, when more are due than may be worked on at once.

Pure: times are arguments. The kind with the fewest passes at work goes first, so that a few ConnectClusters never wait
behind the thousand that rest on them, and no kind starves another; of a kind, the namespace with the fewest; then who
waits the longest. A place is what the passes of its keys wait for, such as one Kafka Connect: only so many of one are
at work, so that where it hangs, others go on.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

MOST = 256
"""Keys at work at once: most of a pass is waiting, for rounds of questions that it shares (`clients.coalescing`)."""

OF_A_KIND = 192
"""Of them those of one kind: there is always room for the others."""

OF_A_NAMESPACE = 160
"""Of those of a kind the ones of one namespace: there is always room for the others' namespaces."""

OF_A_PLACE = 16
"""Of them those of one place."""

FIRST = frozenset({"KafkaConnection", "ConnectCluster"})
"""Kinds that go before others with as few at work: the others rest on them."""


@dataclass(frozen=True, order=True)
class Key:
    """Names one resource."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


Lane = tuple[str, str, str]
"""A kind, a namespace and a place, which is empty where none is known."""


class Turns:
    """Keys with their due times, in seconds; a key at work is not taken again until it ended."""

    def __init__(self, place: Callable[[Key], str]) -> None:
        self._place = place
        self._due: dict[Key, float] = {}
        self._working: dict[Key, Lane] = {}
        self._kinds: Counter[str] = Counter()
        self._namespaces: Counter[tuple[str, str]] = Counter()
        self._lanes: Counter[Lane] = Counter()
        self._lines: dict[Lane, list[tuple[float, Key]]] = {}

    def __len__(self) -> int:
        return len(self._due)

    def put(self, key: Key, at: float) -> None:
        """Make ``key`` due then, or when it is due already if that is sooner."""
        if at < self._due.get(key, float("inf")):
            self._due[key] = at
            if key not in self._working:
                self._line_up(key)

    def take(self, now: float) -> tuple[Key, float] | None:
        """Begin with the key whose turn it is, and return it with the seconds by which it is late."""
        due = [lane for lane in self._open() if self._lines[lane][0][0] <= now]
        if not due:
            return None
        lane = min(due, key=self._precedence)
        at, key = heapq.heappop(self._lines[lane])
        del self._due[key]
        self._working[key] = lane
        self._count(lane, 1)
        return key, now - at

    def end(self, key: Key, now: float) -> None:
        """End with ``key``; if it became due meanwhile, it is due now."""
        lane = self._working.pop(key)
        self._count(lane, -1)
        if key in self._due:
            self._due[key] = max(now, self._due[key])
            self._line_up(key)

    def next(self) -> float | None:
        """Return when the next key that may be taken is due; None when that hangs on the end of another."""
        return min((self._lines[lane][0][0] for lane in self._open()), default=None)

    def _count(self, lane: Lane, change: int) -> None:
        self._kinds[lane[0]] += change
        self._namespaces[lane[:2]] += change
        self._lanes[lane] += change

    def _line_up(self, key: Key) -> None:
        line = self._lines.setdefault((key.kind, key.namespace, self._place(key)), [])
        heapq.heappush(line, (self._due[key], key))

    def _open(self) -> list[Lane]:
        """Return the lanes whose first key may be taken; what became due sooner since it lined up is dropped."""
        for lane, line in tuple(self._lines.items()):
            while line and (line[0][1] in self._working or self._due.get(line[0][1]) != line[0][0]):
                heapq.heappop(line)
            if not line:
                del self._lines[lane]
        if len(self._working) >= MOST:
            return []
        return [lane for lane in self._lines if self._has_room(lane)]

    def _has_room(self, lane: Lane) -> bool:
        return (
            self._kinds[lane[0]] < OF_A_KIND
            and self._namespaces[lane[:2]] < OF_A_NAMESPACE
            and (not lane[2] or self._lanes[lane] < OF_A_PLACE)
        )

    def _precedence(self, lane: Lane) -> tuple[int, bool, int, float]:
        return self._kinds[lane[0]], lane[0] not in FIRST, self._namespaces[lane[:2]], self._lines[lane][0][0]
