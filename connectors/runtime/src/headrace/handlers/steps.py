"""A coroutine taken to the first place where it waits, which most handlers never do: so that nothing is set up for it.

Python 3.12 has that as eager tasks. It must not know what is awaited.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


@coroutine
def rest(begun: Coroutine[Any, Any, Answer], waits_for: object) -> Generator[object, None, Answer]:
    """Await the rest of a coroutine that was begun with ``send(None)`` and ``waits_for`` what that returned."""
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 - whatever is thrown is for the coroutine
            thrown = error
        else:
            return (yield from begun)  # type: ignore[no-any-return]
        try:
            waits_for = begun.throw(thrown)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
