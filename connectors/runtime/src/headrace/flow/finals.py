"""Which exceptions are final: those that cannot come right by themselves, however often the record is tried.

Pure. Like ``except``, and unlike a list of names, a class stands for all that is derived from it; the classes of an
exception are asked from the most specific on (Python's method resolution order).
"""

from __future__ import annotations

from headrace.declared import Declared
from headrace.record import Reject, Retry

DEFAULT = Declared(
    final=(
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        NameError,
        NotImplementedError,
        RecursionError,
        SyntaxError,
        TypeError,
        ValueError,
    ),
    retriable=(OSError,),
)
"""What data or code that is wrong raises: a field that is missing, of another type, or no number; bad JSON and text
that is not UTF-8 are a ``ValueError``, as is pydantic's ``ValidationError``. A library's class of failures of network
or system stays one where it is a ``ValueError`` too, such as ``ssl.SSLCertVerificationError``."""


def is_final(error: BaseException, declared: Declared) -> bool:
    """Say whether ``error`` dead-letters its record at once; a group is final when one of its parts is."""
    if isinstance(error, (Reject, Retry)):
        return isinstance(error, Reject)
    said = _said(type(error), declared)
    if said is None and isinstance(error, BaseExceptionGroup):
        return any(is_final(part, declared) for part in error.exceptions)
    return bool(_said(type(error), DEFAULT)) if said is None else said


def _said(kind: type[BaseException], declared: Declared) -> bool | None:
    for one in kind.__mro__:
        if one in declared.final:
            return True
        if one in declared.retriable:
            return False
    return None
