"""`headrace relay`: one relay's process, from its configuration to its last row.

Nothing that stops it from starting is silent: one error line, the pod's termination message, a non-zero exit status.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

from pydantic import ValidationError

from headrace import config as contract
from headrace import logs, outbox
from headrace.outbox import Relay
from headrace.relay import health
from headrace.relay.loop import Loop
from headrace.relay.metrics import Metrics
from headrace.relay.standing import Standing
from headrace.worker import last_words

log = logging.getLogger(__name__)

PORT = "HEADRACE_PORT"
"""The environment variable that names another port than the contract's, for two processes on one machine."""


def main(path: str) -> int:
    """Run the relay that the file at ``path`` describes; returns the exit status."""
    logs.start()
    try:
        settings = outbox.load(Path(path).read_text(encoding="utf-8"))
        fault = asyncio.run(_run(settings, int(os.environ.get(PORT, contract.PORT))))
    except (OSError, ValidationError) as error:
        return _refuse(f"cannot start from {path}: {error}")
    if fault is not None:
        log.error("ended by a fault", exc_info=fault)
        return _refuse(f"{type(fault).__name__}: {fault}")
    log.info("stopped, all that Kafka acknowledged is marked")
    return 0


async def _run(settings: Relay, port: int) -> BaseException | None:
    metrics, standing = Metrics(settings), Standing()
    loop = Loop(settings, metrics, standing)
    server = await health.serve(standing, metrics, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, loop.stop)
    loop.start()
    await asyncio.to_thread(loop.join)
    server.close()
    return loop.fault


def _refuse(message: str) -> int:
    log.error("%s", message)
    last_words.say(message)
    return 1
