"""Tells that the target fails, and that it answers again: in the log, to metrics, and to who asks."""

from __future__ import annotations

import logging
import time

from headrace.config import Delivery
from headrace.flow.gate import Gate
from headrace.flow.lanes import Job
from headrace.flow.policy import Failed
from headrace.flow.target import Target
from headrace.flow.telling import told
from headrace.metrics import Metrics

log = logging.getLogger(__name__)


class Outages:
    """What is known of the target behind ``gate``."""

    def __init__(self, gate: Gate, delivery: Delivery, metrics: Metrics) -> None:
        self._gate = gate
        self._concurrency = delivery.concurrency
        self._metrics = metrics
        self._last = Target("open")

    @property
    def target(self) -> Target:
        """What is known now; for any thread."""
        if self._gate.is_open:
            return self._last
        return Target("throttled" if self._gate.limit < self._concurrency else "closed")

    def tell(self, job: Job, failed: Failed | None) -> None:
        """Tell that the circuit has opened or closed, by this attempt."""
        is_open = self._gate.is_open
        self._metrics.circuit_open.set(is_open)
        if is_open and failed is not None:
            self._last = Target("open", int(time.time()), failed.exception)
            log.error(
                "the target fails, so records wait and no attempt counts until it answers: %s",
                told(job.record, job.attempt, failed),
            )
        else:
            log.info("the target answers again")
