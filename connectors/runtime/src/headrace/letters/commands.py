"""Sends the commands that make good for dead letters to their topic, one at a time, and waits for Kafka to have them.

For the event loop: the client is used by a thread of its own. After a failure a new one is made, which reads the
mounted credentials anew.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from headrace.config import Config
from headrace.flow.policy import Failed
from headrace.kafka.consumer import Fatal
from headrace.kafka.producer import NotSent, Producer, Written
from headrace.record import Record

STEP = 0.1
"""Seconds between looks whether the client is of no more use; its answer comes within its own time-out."""


class Commands:
    """The producer of one topic."""

    def __init__(self, config: Config, topic: str) -> None:
        """Nothing is opened yet."""
        self._config = config
        self._topic = topic
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commands")
        self._producer: Producer | None = None

    async def handle(self, record: Record) -> Failed | None:
        """Send a command as it is; None is success. What is too large for the topic is not tried again."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._send, record)

    def _send(self, record: Record) -> Failed | None:
        try:
            self._wait_for(record)
        except (NotSent, BufferError, Fatal, OSError) as error:
            self._producer = None
            text = f"topic {self._topic} does not have the command: {error}"
            final = isinstance(error, NotSent) and error.is_for_size
            return Failed(message=text, exception="headrace.NotSent", retriable=not final, unanswered=True)
        return None

    def _wait_for(self, record: Record) -> None:
        """Raise what `Producer` does when it was not sent."""
        producer = self._producer = self._producer or Producer(self._config, self._topic)
        outcomes: list[NotSent | Written] = []
        producer.send(None, record.key, record.value, record.headers, outcomes.append)
        while not outcomes:
            producer.poll(STEP)
            producer.check()
        if isinstance(outcomes[0], NotSent):
            raise outcomes[0]
