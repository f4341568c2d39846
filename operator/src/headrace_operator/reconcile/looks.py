"""When topics, or their settings, are looked at: seldom while they are right, and soon when they are not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

RIGHT = timedelta(minutes=5)
"""Between looks at what was right."""

WRONG = timedelta(seconds=30)
"""Between looks at what was not right, or not known, as at the look before."""

Seen = TypeVar("Seen")


@dataclass
class Looks(Generic[Seen]):
    """What was seen at the last look; ``about`` is what it was a look at: which topics, for which spec."""

    of: Seen
    about: object = None
    again: datetime | None = None

    def due(self, about: object, now: datetime) -> bool:
        """Return whether to look: at something else than the last time, or again."""
        return self.again is None or self.about != about or now >= self.again

    def take(self, about: object, of: Seen, now: datetime, *, is_right: bool) -> None:
        """Remember what was seen at ``now``; what is wrong in another way than the last time may have been mended."""
        is_news = self.again is None or self.about != about or self.of != of
        self.about, self.of = about, of
        self.again = now + (RIGHT if is_right else timedelta() if is_news else WRONG)
