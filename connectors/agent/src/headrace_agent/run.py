"""The agent's process: it looks and answers until SIGTERM, which ends it within seconds."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web
from pydantic import ValidationError

from headrace_agent import declared, logs, metrics, places
from headrace_agent.declared import Declaration
from headrace_agent.looking import Looking
from headrace_agent.serve import serve

STOPS_WITHIN = 3.0
"""Seconds for statements under way to end; what does not is left to the end of the process."""

NAMES_EACH = 4
"""Threads for each source, as the name of one that hangs is still looked up when its next look begins."""

log = logging.getLogger(__name__)


def main() -> None:
    """Run the agent until SIGTERM or SIGINT: exit code 0. A declaration that cannot be read is logged: 1."""
    logs.start()
    try:
        declaration = declared.load(Path(os.environ.get(places.DECLARATION_VARIABLE, places.DECLARATION)).read_text())
    except (OSError, ValidationError) as error:
        log.error("the declaration cannot be read: %s", error)
        sys.exit(1)
    asyncio.run(_run(declaration))


async def _run(declaration: Declaration) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.set_default_executor(ThreadPoolExecutor(4 + NAMES_EACH * len(declaration.sources)))
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    looking = Looking(declaration)
    port, metrics_port = _port(places.PORT_VARIABLE, places.PORT), _port(places.METRICS_VARIABLE, places.METRICS_PORT)
    runners = await serve(looking, metrics.registry(declaration, looking), port, metrics_port)
    tasks = looking.start()
    log.info("looking at %d sources, answering on the ports %d and %d", len(tasks), port, metrics_port)
    await ended.wait()
    await _stop(tasks, runners)
    _leave()


async def _stop(tasks: list[asyncio.Task[None]], runners: list[web.AppRunner]) -> None:
    for task in tasks:
        task.cancel()
    for runner in runners:
        await runner.cleanup()
    if tasks:
        await asyncio.wait(tasks, timeout=STOPS_WITHIN)


def _port(variable: str, otherwise: int) -> int:
    return int(os.environ.get(variable, otherwise))


def _leave() -> None:
    """End the process here: names that are still looked up, in threads, would hold up any other end for minutes."""
    logging.shutdown()
    os._exit(0)
