"""What the container leaves behind when it ends: Kubernetes shows it as the pod's termination message."""

from __future__ import annotations

from pathlib import Path

from headrace.discreet import discreet

TERMINATION_LOG = Path("/dev/termination-log")
LIMIT = 4000


def say(message: str) -> None:
    """Have ``message`` stand for the end of this container, however it ends; empty: the end of its log does."""
    if TERMINATION_LOG.exists():
        TERMINATION_LOG.write_text(discreet(message)[:LIMIT], encoding="utf-8")
