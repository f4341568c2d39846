"""When the settings of a Consumer's topics are looked at: seldom while they are right, and soon when they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from headrace_operator.observed.value import Unknown

RIGHT = timedelta(minutes=5)
"""Between looks at settings that were right."""

WRONG = timedelta(seconds=30)
"""Between looks at settings that differed, or were not known, as at the look before."""


@dataclass
class SettingsLooks:
    """What was seen at the last look; ``about`` is what it was a look at: which topics, for which spec."""

    of: Mapping[str, Mapping[str, str] | Unknown] = field(default_factory=dict)
    about: object = None
    again: datetime | None = None

    def due(self, about: object, now: datetime) -> bool:
        """Return whether to look: at something else than the last time, or again."""
        return self.again is None or self.about != about or now >= self.again

    def take(
        self, about: object, of: Mapping[str, Mapping[str, str] | Unknown], now: datetime, *, is_right: bool
    ) -> None:
        """Remember what was seen at ``now``; what is wrong in another way than the last time may have been mended."""
        is_news = self.again is None or self.of != of
        self.about, self.of = about, of
        self.again = now + (RIGHT if is_right else timedelta() if is_news else WRONG)
