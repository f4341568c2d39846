"""What a handler declares about itself, and that it stays the function it was."""

from __future__ import annotations

import inspect
import pickle
from functools import partial, wraps
from typing import Any, assert_type

import pytest

import headrace
from headrace import declared
from headrace.declared import Declared
from headrace.record import Record

RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b"{}")


@headrace.handler(final=(ZeroDivisionError,), retriable=KeyError)
def plain(record: Record, more: int = 0) -> int:
    """Say where it is."""
    return record.offset + more


@headrace.handler(final=OSError)
async def waiting(record: Record) -> str:
    return record.topic


class Service:
    @headrace.handler(retriable=ValueError)
    def __call__(self, record: Record) -> None: ...

    @headrace.handler(retriable=TypeError)
    def handle(self, record: Record) -> None: ...


def logged(function: Any) -> Any:
    @wraps(function)
    def call(record: Record) -> object:
        return function(record)

    return call


@pytest.mark.case("delivery-21")
async def test_a_declared_function_is_the_function_it_was() -> None:
    assert_type(plain(RECORD, more=2), int)
    assert_type(await waiting(RECORD), str)
    assert (plain(RECORD, more=2), await waiting(RECORD)) == (3, "orders")
    assert (plain.__name__, plain.__doc__, list(inspect.signature(plain).parameters)) == (
        "plain", "Say where it is.", ["record", "more"],
    )  # fmt: skip
    assert inspect.iscoroutinefunction(waiting)
    assert not inspect.iscoroutinefunction(plain)
    assert pickle.loads(pickle.dumps(plain)) is plain


@pytest.mark.case("delivery-21")
def test_what_is_declared_is_found_on_functions_methods_objects_and_through_decorators() -> None:
    assert declared.of(plain) == Declared(final=(ZeroDivisionError,), retriable=(KeyError,))
    assert declared.of(logged(plain)) == declared.of(plain)
    assert declared.of(waiting) == Declared(final=(OSError,))
    assert declared.of(Service()) == Declared(retriable=(ValueError,))
    assert declared.of(Service().handle) == Declared(retriable=(TypeError,))
    assert declared.of(partial(plain, more=1)) == declared.of(print) == Declared()


@pytest.mark.case("delivery-21")
@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"final": (KeyError(),)}, "final=…) takes classes of exceptions, not KeyError()"),
        ({"retriable": "KeyError"}, "retriable=…) takes classes of exceptions, not 'KeyError'"),
        ({"final": [KeyError]}, "takes classes of exceptions"),
        ({"final": int}, "takes classes of exceptions"),
        ({"final": (KeyError,), "retriable": (OSError, KeyError)}, "KeyError is declared both"),
        ({"retriable": headrace.Reject}, "Reject always means what it says"),
        ({"final": headrace.Retry}, "Retry always means what it says"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_at_once(wish: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        headrace.handler(**wish)
    assert words in str(caught.value)
