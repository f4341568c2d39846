"""Logs as one logfmt line a record on standard output, in ASCII, so that nothing of others begins a line."""

from __future__ import annotations

import json
import logging
import re
import sys
import time

_ADDRESS = re.compile(r"(\b\w+://)(?:[^/?#\s'\"]*@)?([^?#\s'\"]*)(?:[?#][^\s'\"]*)?")


class Logfmt(logging.Formatter):
    """``ts=… level=… logger=… msg="…"``, and the traceback, if any, in the same line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as one line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = f"ts={stamp}.{int(record.msecs):03d}Z level={record.levelname.lower()} logger={record.name}"
        line += f" msg={_told(record.getMessage())}"
        if record.exc_info:
            line += f" traceback={_told(self.formatException(record.exc_info))}"
        return line


def _told(text: str) -> str:
    """Return a text as one word, its addresses without user, password, query and fragment."""
    return json.dumps(_ADDRESS.sub(r"\1\2", text))


def start() -> None:
    """Send all logs of this process, from INFO on, to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Logfmt())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
