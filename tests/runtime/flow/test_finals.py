"""Which exceptions end a record at once, and which are tried again."""

from __future__ import annotations

import binascii  # noqa: F401
import json  # noqa: F401
import socket
import ssl
from decimal import Decimal  # noqa: F401
from xml.etree import ElementTree  # noqa: F401

import pytest
from pydantic import BaseModel

from headrace import Reject, Retry
from headrace.declared import Declared
from headrace.flow.finals import is_final

pytestmark = pytest.mark.case("delivery-21")


class Order(BaseModel):
    amount: int


class Answered(OSError, ValueError):
    """As some HTTP libraries call an answer that is no JSON."""


class Missing(KeyError):
    pass


class Brief(Missing):
    pass


@pytest.mark.parametrize(
    "code",
    [
        "{}['amount']",
        "[][0]",
        "None.amount",
        "1 + ''",
        "amount",
        "json.loads('{')",
        "json.loads('[' * 100_000)",
        "b'\\xff'.decode()",
        "'ö'.encode('ascii')",
        "b'x'.decode('no-such-encoding')",
        "int('twelve')",
        "1 // 0",
        "Decimal('twelve')",
        "binascii.unhexlify('x')",
        "ElementTree.fromstring('<')",
        "Order.model_validate_json(b'{}')",
    ],
)
def test_what_data_or_code_that_is_wrong_raises_is_final(code: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        eval(code)
    assert is_final(caught.value, Declared())


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        socket.gaierror(),
        ssl.SSLCertVerificationError(),
        Answered(),
        RuntimeError(),
        MemoryError(),
        ImportError(),
        EOFError(),
        Exception(),
        SystemExit(),
        KeyboardInterrupt(),
        Retry("later"),
    ],
)
def test_what_may_pass_is_tried_again(error: BaseException) -> None:
    assert not is_final(error, Declared())


@pytest.mark.parametrize(
    ("error", "declared", "final"),
    [
        (KeyError(), Declared(retriable=(KeyError,)), False),
        (Missing(), Declared(retriable=(KeyError,)), False),
        (KeyError(), Declared(retriable=(LookupError,)), False),
        (KeyError(), Declared(retriable=(Exception,)), False),
        (IndexError(), Declared(retriable=(KeyError,)), True),
        (Missing(), Declared(final=(Missing,), retriable=(KeyError,)), True),
        (KeyError(), Declared(final=(Missing,), retriable=(KeyError,)), False),
        (Brief(), Declared(final=(KeyError,), retriable=(Missing,)), False),
        (RuntimeError(), Declared(final=(Exception,)), True),
        (TimeoutError(), Declared(final=(Exception,), retriable=(OSError,)), False),
        (Retry(), Declared(final=(Exception,)), False),
        (Reject(), Declared(retriable=(Exception,)), True),
    ],
)
def test_the_most_specific_class_declared_decides(error: BaseException, declared: Declared, final: bool) -> None:
    assert is_final(error, declared) is final


@pytest.mark.parametrize(
    ("parts", "declared", "final"),
    [
        ([OSError(), ConnectionError()], Declared(), False),
        ([OSError(), KeyError()], Declared(), True),
        ([OSError(), ExceptionGroup("inner", [KeyError()])], Declared(), True),
        ([OSError(), KeyError()], Declared(retriable=(KeyError,)), False),
        ([OSError(), Reject()], Declared(), True),
        ([KeyError()], Declared(retriable=(ExceptionGroup,)), False),
    ],
)
def test_a_group_is_final_when_one_of_its_parts_is(parts: list[Exception], declared: Declared, final: bool) -> None:
    assert is_final(ExceptionGroup("many", parts), declared) is final
