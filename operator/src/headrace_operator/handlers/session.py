"""The session kopf asks the API server with: ours, and open as long as the process needs it."""

from __future__ import annotations

import aiohttp


class Kept(aiohttp.ClientSession):
    """A session that kopf cannot close: closed under its watches, kopf would hang instead of ending."""

    async def close(self) -> None:
        """Stay open; `end` closes."""

    async def end(self) -> None:
        """Close the session for good."""
        await super().close()
