"""Work that waits for Kafka's answers, in threads beside the poll thread, which waits for none.

The poll thread alone owns it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Beside(Generic[Found]):
    """Work in threads of this ``name``: what it finds is there to take as soon as it is found."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: SimpleQueue[Found | _Fault] = SimpleQueue()

    def begin(self, work: Callable[[], Iterable[Found]]) -> None:
        """Begin to work, in a thread of its own."""
        threading.Thread(target=self._do, args=(work,), name=self._name, daemon=True).start()

    def take(self) -> Iterator[Found]:
        """Return what was found since the last time; raises what work raised."""
        while True:
            try:
                found = self._found.get_nowait()
            except Empty:
                return
            if isinstance(found, _Fault):
                raise found.error
            yield found

    def _do(self, work: Callable[[], Iterable[Found]]) -> None:
        """Work once; in its own thread."""
        try:
            for found in work():
                self._found.put(found)
        except BaseException as error:  # noqa: BLE001 - the thread's border: told to the poll thread, which ends
            self._found.put(_Fault(error))


class _Fault:
    """What ended the work."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
