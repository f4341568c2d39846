"""The errors of remote systems, as the loop understands them.

    HeadraceError
    ├── Invalid            the user must change something          → condition, back-off
    ├── Unauthorized       a credential or a right must change     → condition, back-off
    ├── Missing            what was asked for does not exist       → seen as absent by observers
    └── Retryable          the world must change                   → the same, not before ``after``
        ├── Unreachable    no answer in time
        ├── Busy           429, or 409 while Connect rebalances
        ├── Conflict       someone else wrote first
        └── Fenced         the Lease may be over by then       → nothing was sent: no failure, another pass acts

Each client translates its library's errors in one place, ``raise … from error``; answers over HTTP are translated in
`headrace_operator.clients.answers`. Anything else is a bug.
"""

from __future__ import annotations

from datetime import timedelta

from headrace import printable
from headrace.discreet import discreet

LONGEST = 2000
"""Characters of an error: it has words of who answered, who may be anybody."""


class HeadraceError(Exception):
    """Says what was tried, on what, what came back and what to do; addresses in it have no login and no query.

    It is one line that no terminal obeys, of `LONGEST` characters at most: of a longer one the middle is left out, as
    a list of what was tried on may be long, and what came back stands behind it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable.both_ends(discreet(message), LONGEST))


class Invalid(HeadraceError):
    """The user must change something."""


class Unauthorized(HeadraceError):
    """A credential or a right must change."""


class Missing(HeadraceError):
    """What was asked for does not exist, by a live answer."""


class Retryable(HeadraceError):
    """The world must change; trying again ``after`` a while may succeed."""

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class Unreachable(Retryable):
    """No answer in time."""


class Busy(Retryable):
    """The other side asks to come back later."""


class Conflict(Retryable):
    """Someone else wrote first."""


class Fenced(Retryable):
    """The Lease may be over before a write takes effect, which was not sent."""
