"""The source agent over HTTP: one answer about all databases of a ConnectCluster, which serves all who ask.

It must not decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from pydantic import ValidationError

from headrace.discreet import discreet
from headrace_agent import places, told
from headrace_operator.clients import answers, errors
from headrace_operator.clients.kept import Kept
from headrace_operator.clients.measured import measured
from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.value import Absent

DEADLINE = 5.0
"""Seconds that an answer may take; the agent looks at databases by itself, and keeps nobody waiting for them."""

KEPT = 5.0
"""Seconds for which one answer serves all Connectors of a ConnectCluster."""

LONGEST = 16 * 2**20
"""Bytes of an answer."""

AGENT = answers.Server(name="The source agent", say=discreet)


class Agents:
    """Reads of any source agent by its address; every method raises `HeadraceError`."""

    def __init__(self, session: aiohttp.ClientSession, deadline: float = DEADLINE, kept: float = KEPT) -> None:
        self._session = session
        self._deadline = deadline
        self._told = Kept(self._read, kept)

    async def source(self, url: str, name: str) -> SourceSeen | Absent:
        """Return what the agent at ``url`` told last of the source called ``name``; Absent where it knows none."""
        return (await self._told.ask(url)).get(name, Absent())

    @measured("agent")
    async def _read(self, url: str) -> Mapping[str, SourceSeen]:
        at = f"{url}{places.SOURCES}"
        status, text = await answers.page(self._session, at, "the source agent", self._deadline, LONGEST)
        return _understood(at, status, text)


def _understood(at: str, status: int, text: bytes) -> Mapping[str, SourceSeen]:
    """Return the sources of an answer by name; one of another shape is no answer, and is not quoted."""
    if status != 200:
        answers.read(f"GET {at}", AGENT, status, text)
        raise errors.Unreachable(f"GET {at}: the source agent answered {status}.")
    try:
        return {one.name: one for one in told.load(text).sources}
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        why = f"{field}: {first['msg']}" if field else first["msg"]
        text_ = (
            f"GET {at}: the answer is none of a source agent of this release ({why}): it is replaced during an upgrade."
        )
        raise errors.Unreachable(text_) from error
