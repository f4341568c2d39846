"""What a handler declares about itself: which exceptions are final, and which may pass.

It must not know how a handler is called; handlers import it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from headrace.record import Reject, Retry

Kinds = type[BaseException] | tuple[type[BaseException], ...]
"""A class of exceptions or several, as ``except`` takes them."""

Function = TypeVar("Function", bound=Callable[..., object])

ATTRIBUTE = "__headrace__"


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """Classes of exceptions; those derived from them are meant too."""

    final: tuple[type[BaseException], ...] = ()
    retriable: tuple[type[BaseException], ...] = ()


def handler(*, final: Kinds = (), retriable: Kinds = ()) -> Callable[[Function], Function]:
    """Declare which exceptions of the function below make a dead letter at once, and which are tried again.

    Of the classes declared, the most specific one that an exception belongs to decides; where none does, Headrace's own
    list. The function itself stays as it is. Raises ``TypeError`` for what is no class of exceptions, for one that is
    declared both ways, and for `Reject` and `Retry`, which mean what they say.
    """
    declared = Declared(final=_kinds("final", final), retriable=_kinds("retriable", retriable))
    for kind in declared.final:
        if kind in declared.retriable:
            raise TypeError(f"headrace.handler: {kind.__name__} is declared both final and retriable")

    def mark(function: Function) -> Function:
        setattr(function, ATTRIBUTE, declared)
        return function

    return mark


def of(function: Callable[..., object]) -> Declared:
    """Return what is declared for ``function``, or for the ``__call__`` of its class."""
    for place in (function, type(function).__call__):
        found = getattr(place, ATTRIBUTE, None)
        if isinstance(found, Declared):
            return found
    return Declared()


def _kinds(name: str, kinds: Kinds) -> tuple[type[BaseException], ...]:
    found = kinds if isinstance(kinds, tuple) else (kinds,)
    for kind in found:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"headrace.handler({name}=…) takes classes of exceptions, not {kind!r}")
        if issubclass(kind, (Reject, Retry)):
            raise TypeError(f"headrace.handler({name}=…): {kind.__name__} always means what it says")
    return found
