"""Pods of an OutboxRelay over HTTP: how each stands, and what it counted. It must not decide anything."""

from __future__ import annotations

import aiohttp
from pydantic import ValidationError

from headrace.config import PORT
from headrace.outbox import STANDING, Told
from headrace_operator.clients import answers, errors
from headrace_operator.clients.measured import measured

DEADLINE = 5.0
"""Seconds that an answer may take; a pod looks at its database by itself, and keeps nobody waiting for it."""

LONGEST = 2**20
"""Bytes of an answer."""


class Relays:
    """Reads of any relay's pods by their addresses; raises `HeadraceError`."""

    def __init__(self, session: aiohttp.ClientSession, port: int = PORT, deadline: float = DEADLINE) -> None:
        self._session, self._port, self._deadline = session, port, deadline

    @measured("relay")
    async def told(self, ip: str) -> Told:
        """Return how the pod at an address stands."""
        at = f"http://{f'[{ip}]' if ':' in ip else ip}:{self._port}{STANDING}"
        status, text = await answers.page(self._session, at, "the relay's pod", self._deadline, LONGEST)
        if status != 200:
            raise errors.Unreachable(f"GET {at}: the relay's pod answered {status}.")
        try:
            return Told.model_validate_json(text)
        except ValidationError as error:
            why = f"GET {at}: the answer is none of a relay of this release: its pods are replaced during an upgrade."
            raise errors.Unreachable(why) from error
