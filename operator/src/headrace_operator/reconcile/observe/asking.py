"""Asking a remote system: a failure becomes `Unknown` with the sentence of what went wrong."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from headrace_operator.clients.errors import HeadraceError
from headrace_operator.observed.value import Unknown

Answer = TypeVar("Answer")


async def ask(question: Awaitable[Answer]) -> Answer | Unknown:
    """Return the answer, or `Unknown` when the remote system failed; a bug is raised."""
    try:
        return await question
    except HeadraceError as error:
        return Unknown(reason=str(error))
