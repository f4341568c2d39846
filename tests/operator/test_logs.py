"""Lines of the operator's log say which resource they are about."""

from __future__ import annotations

import contextvars
import logging

from headrace_operator.logs import About
from headrace_operator.reconcile.queue import WORKING
from headrace_operator.reconcile.turns import Key


def line() -> str:
    """Return how a record is written now."""
    return About().format(logging.LogRecord("headrace", logging.WARNING, __file__, 1, 'say "%s"', ("hello\n",), None))


def test_a_line_names_the_resource_that_is_worked_on() -> None:
    """Also lines of clients, which do not know it; outside a pass there is none to name."""

    def working() -> str:
        WORKING.set(Key("Consumer", "shop", "billing"))
        return line()

    assert (
        contextvars.copy_context()
        .run(working)
        .endswith(r'level=warning logger=headrace msg="say \"hello\n\"" kind=Consumer namespace=shop name=billing')
    )
    assert line().endswith(r'msg="say \"hello\n\""')
