"""`headrace run`: one consumer process, from its configuration to its last commit.

Nothing that stops it from starting is silent: one error line, the pod's termination message, a non-zero exit status.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path

from pydantic import ValidationError

from headrace import config as contract
from headrace import logs
from headrace.config import Config
from headrace.flow.lease import Lease
from headrace.handlers import Broken, Handler, timers
from headrace.handlers.isolated import IsolatedHandler
from headrace.handlers.python import PythonHandler
from headrace.kafka.consumer import Fatal
from headrace.kafka.membership import session
from headrace.metrics import Metrics
from headrace.stores import Unusable
from headrace.worker import health, last_words
from headrace.worker.compensation import Compensation
from headrace.worker.deduplication import deduplication
from headrace.worker.dispatch import Dispatcher
from headrace.worker.poll import Poller

log = logging.getLogger(__name__)

WATCHDOG = 10.0
"""Seconds after the time that what runs has to finish when a client that hangs no longer keeps the process alive."""

GARBAGE = 10_000, 20, 50
"""Objects made and not yet gone, and times of that, after which the interpreter looks for cycles among them."""

STOPS = (signal.SIGTERM, signal.SIGINT)

PORT = "HEADRACE_PORT"
"""The environment variable that names another port than the contract's, for two processes on one machine."""


def main(path: str) -> int:
    """Run the consumer that the file at ``path`` describes; returns the exit status."""
    logs.start()
    try:
        config = contract.load(Path(path).read_text(encoding="utf-8"))
        with asyncio.Runner(loop_factory=timers.loop) as runner:
            return runner.run(_run(config, int(os.environ.get(PORT, contract.PORT))))
    except (OSError, ValidationError) as error:
        return _refuse(f"cannot start from {path}: {error}")
    except Broken as error:
        return _refuse(f"handler: {error}")
    except (Fatal, Unusable) as error:
        return _refuse(str(error))


async def _run(config: Config, port: int) -> int:
    metrics = Metrics(config)
    once = deduplication(config, metrics)
    handler = await _handler(config, metrics)
    lease = Lease(session(config) / 2, time.monotonic())
    compensation = Compensation(config)
    dispatcher = Dispatcher(config, compensation.beside(handler.handle), metrics, lease, once, _hands(handler))
    poller = Poller(config, dispatcher, asyncio.get_running_loop(), metrics, lease, _pod())
    server = await health.serve(poller, metrics, port)
    _stop_on_signals(poller, config.stop)
    _collect_garbage_seldom()
    runners = asyncio.create_task(dispatcher.run())
    poller.start()
    ended = asyncio.create_task(asyncio.to_thread(_joined, poller))
    try:
        await asyncio.wait((runners, ended), return_when=asyncio.FIRST_COMPLETED)
        fault = ended.result() if ended.done() else runners.exception()
    except asyncio.CancelledError:
        return _end(Fatal("the event loop or its tasks were ended by something else than Headrace: by the handler"))
    server.close()
    await handler.close()
    await compensation.close()
    if once is not None:
        await once.close()
    return _end(fault)


def _pod() -> str:
    """Return the pod's name, which Kubernetes makes its host's."""
    return os.environ.get("HOSTNAME") or socket.gethostname()


def _collect_garbage_seldom() -> None:
    """Leave out what was imported, which stays; records and attempts come and go without cycles, and are many."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def _joined(poller: Poller) -> BaseException | None:
    """Wait for the end of the poll thread and return what ended it early."""
    poller.join()
    return poller.fault


def _hands(handler: Handler) -> IsolatedHandler | None:
    return handler if isinstance(handler, IsolatedHandler) else None


async def _handler(config: Config, metrics: Metrics) -> Handler:
    if config.handler.http is not None:
        from headrace.handlers.http import HttpHandler  # TLS and a parser, which others need not load

        return HttpHandler(config.handler.http, namespace=config.namespace)
    python, concurrency = config.handler.python, config.delivery.concurrency
    assert python is not None
    if python.isolation == "Thread":
        return PythonHandler(python, concurrency=concurrency)
    isolated = IsolatedHandler(python, concurrency=concurrency, observe=metrics.processing.observe)
    await isolated.start()
    return isolated


def _stop_on_signals(poller: Poller, budget: float) -> None:
    def stop() -> None:
        log.info("asked to stop: finishing what runs, for at most %.0f s", budget)
        watchdog = threading.Timer(budget + WATCHDOG, os._exit, (1,))
        watchdog.daemon = True
        watchdog.start()
        poller.stop()

    for number in STOPS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    _leave_to_children()


def _leave_to_children() -> None:
    """Let a signal to a process that the handler forks end that one: it shares the pipe by which the loop is told."""

    def forget() -> None:
        signal.set_wakeup_fd(-1)
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, STOPS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS),
        after_in_child=forget,
    )


def _end(fault: BaseException | None) -> int:
    """Leave at once: a handler's thread that never returns must not keep the process alive."""
    status = 0
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    if fault is not None:
        log.error("ended by a fault", exc_info=fault)
        status = _refuse(f"{type(fault).__name__}: {fault}")
    else:
        log.info("stopped")
    logging.shutdown()
    os._exit(status)


def _refuse(message: str) -> int:
    log.error("%s", message)
    last_words.say(message)
    return 1
