"""The operator's log: one logfmt line a record, as the runtime writes them, with the resource it is about."""

from __future__ import annotations

import logging
import sys

from headrace.logs import Logfmt
from headrace_operator.reconcile.queue import WORKING


class About(Logfmt):
    """Adds ``kind= namespace= name=`` to whatever is logged during a pass, by whomever."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as one line."""
        key, line = WORKING.get(), super().format(record)
        return line if key is None else f"{line} kind={key.kind} namespace={key.namespace} name={key.name}"


def start(level: str) -> None:
    """Send all logs of this process, from ``level`` on, to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(About())
    logging.basicConfig(level=level, handlers=[handler], force=True)
