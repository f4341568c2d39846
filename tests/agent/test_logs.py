"""What the agent logs: one line for each record, and nothing of an address that may be secret."""

from __future__ import annotations

import logging
import sys

import pytest

from headrace import logs as of_runtime
from headrace_agent import logs

HIDDEN = ("s3cret", "me:", "token=")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("no answer of postgresql://me:s3cret@shop-db:5432/shop?token=abc", "postgresql://shop-db:5432/shop"),
        ("GET https://shop/a#s3cret failed", "https://shop/a failed"),
        ("refused: 'http://me:s3cret@[::1]:8085/sources'", "'http://[::1]:8085/sources'"),
        ("shop-db\nlevel=error", "shop-db\\nlevel=error"),
    ],
)
def test_a_line_has_no_login_and_no_query_of_an_address(said: str, left: str) -> None:
    """Also in a traceback, and as the runtime says it."""
    try:
        raise OSError(said)
    except OSError:
        record = logging.LogRecord("agent", logging.ERROR, "", 0, "%s", (said,), sys.exc_info())

    for line in (logs.Logfmt().format(record), of_runtime.Logfmt().format(record)):
        assert line.count(left) == 2, line
        assert "\n" not in line
        assert not [word for word in HIDDEN if word in line]
