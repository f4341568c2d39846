"""How a relay stands: what is in its way, in sentences, and what its table holds. Health and metrics read it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from headrace import outbox
from headrace.discreet import discreet
from headrace.relay.source import Figures

log = logging.getLogger(__name__)

WORDS = 500
"""Characters that are told of what is in the way."""

DATABASE, KAFKA, ROWS = "database", "kafka", "rows"
"""What may be in the way: the database or its table, Kafka, and topics or too many keys that wait."""


@dataclass(kw_only=True)
class Standing:
    """Written by the loop's thread, read by others; ``beat`` is when the loop last turned, by the monotonic clock."""

    beat: float = field(default_factory=time.monotonic)
    troubles: dict[str, str] = field(default_factory=dict)
    figures: Figures | None = None
    held: int = 0
    waiting_topics: int = 0
    is_ordered: bool | None = None
    looked: bool = False
    """Whether the table was read once since the start."""

    def trouble(self, where: str, words: str) -> None:
        """Note what is in the way; said in the log when it is new."""
        told = discreet(words)[:WORDS]
        if self.troubles.get(where) != told:
            log.warning("%s", told)
        self.troubles = {**self.troubles, where: told}

    def well(self, where: str) -> None:
        """Note that nothing of this is in the way any more."""
        if where in self.troubles:
            log.info("%s: going on", where)
            self.troubles = {name: words for name, words in self.troubles.items() if name != where}

    @property
    def told(self) -> outbox.Told:
        """What the operator is told; figures of a table that cannot be read now are none."""
        counted = None if DATABASE in self.troubles else self.figures
        figures = {} if counted is None else {**counted._asdict(), "oldest": counted.oldest or 0.0}
        return outbox.Told(**self.troubles, **figures)

    @property
    def silence(self) -> float:
        """Seconds since the loop last turned."""
        return time.monotonic() - self.beat
