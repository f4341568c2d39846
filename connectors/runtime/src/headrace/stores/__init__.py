"""Where it is remembered which messages were handled, so that one that comes again is not handled again.

An attempt claims its message, for as long as a lease lasts, and then says that it is done, or releases it. Whoever dies
meanwhile leaves a lease that ends.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol


class Away(Exception):
    """The store did not answer, or refused; the text says what it was asked, and why."""


class Unusable(Exception):
    """The store cannot be asked as it is configured; the text says what is wrong with it."""


class Standing(Enum):
    """What is known of a message that somebody wants to handle."""

    NEW = auto()
    """It is now claimed by who asked."""
    HELD = auto()
    """Another attempt has claimed it."""
    DONE = auto()
    """It was handled, not longer ago than the window."""


class Store(Protocol):
    """Remembers messages by their ids; each call raises `Away`. A ``token`` names one attempt."""

    async def claim(self, message_id: str, token: str) -> Standing:
        """Claim a message for the length of a lease; asked again with the same token, it is `NEW` again."""
        ...

    async def renew(self, message_id: str, token: str) -> None:
        """Begin the lease of a message anew, if it is claimed with this token."""
        ...

    async def done(self, message_id: str) -> None:
        """Remember for the length of the window that a message was handled, whoever has claimed it."""
        ...

    async def release(self, message_id: str, token: str) -> None:
        """Let others claim a message, if it is claimed with this token."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
