"""Who may act: one process holds the Lease, and acts only while its own clock says that nobody else can hold it.

The fence: it is held for a time that counts from before the request that renewed it, less a margin; another process
waits until the resourceVersion it saw stays unchanged for the whole duration by its own clock. No wall times are
compared.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from typing import Any
from uuid import uuid4

from headrace_operator.clients.api import Api, path
from headrace_operator.clients.errors import Conflict, HeadraceError

NAME = "headrace-operator"
VERSION = "coordination.k8s.io/v1"
PATIENCE = 0.4
"""Part of the time that it is held which one try to renew or to release it may take: a second try is in time."""

LOOK = 0.05
"""Seconds between two looks at whether it was renewed."""

log = logging.getLogger(__name__)


class Lease:
    """A Lease of ``duration`` seconds, renewed each ``retry`` seconds and given up ``margin`` seconds early.

    ``me`` is the name that people know this process by; the holder's is that and what no other process has.
    """

    def __init__(
        self, namespace: str, me: str, *, duration: float = 11.0, retry: float = 2.0, margin: float = 2.0
    ) -> None:
        self._namespace, self._me = namespace, f"{me}_{uuid4()}"
        self._duration, self._retry, self._margin = duration, retry, margin
        self._terms = 0
        self._held = (0, 0.0)
        self._seen: str | None = None
        self._stale_at = 0.0
        self._written: dict[str, Any] | None = None
        self._told = False

    @property
    def term(self) -> int:
        """Return the number of the last term; one begins each time that it is held anew."""
        return self._held[0]

    def held(self, deadline: float = 0.0, term: int | None = None) -> bool:
        """Return whether an act that takes up to ``deadline`` seconds may begin now, in ``term`` if that is given.

        What was seen in one term is not acted on in another. Any thread may ask.
        """
        now, until = self._held
        return term in (None, now) and time.monotonic() + deadline < until

    async def lasts(self, deadline: float, term: int) -> bool:
        """Return what `held` does, once the Lease was renewed or is over."""
        while self.held(0.0, term) and not self.held(deadline, term):  # noqa: ASYNC110 - a thread renews
            await asyncio.sleep(LOOK)
        return self.held(deadline, term)

    async def run(self, api: Api) -> None:
        """Take and renew the Lease until cancelled; then release it."""
        try:
            while True:  # noqa: ASYNC110 - nothing tells when it is over
                await asyncio.sleep(await self._renew(api))
        finally:
            await self._release(api)

    async def _renew(self, api: Api) -> float:
        """Try to take or to renew it, and return in how many seconds to try again."""
        begun, before = time.monotonic(), self.held()
        try:
            async with asyncio.timeout((self._duration - self._margin) * PATIENCE):
                held = await self._attempt(api)
            self._terms += held and not before
            self._held = (self._terms, begun + self._duration - self._margin if held else 0.0)
            again = self._retry if held else min(self._retry / 4, max(0.0, self._stale_at - time.monotonic()))
        except (TimeoutError, HeadraceError) as error:
            self._written, again = None, self._retry / 2
            if isinstance(error, Conflict):
                self._held = (self._terms, 0.0)
            log.warning("The Lease %s/%s was not renewed: %s", self._namespace, NAME, str(error) or "no answer in time")
        if self.held() != self._told:
            self._told = self.held()
            log.info("%s the Lease %s/%s", "Hold" if self._told else "Do not hold", self._namespace, NAME)
        return again

    async def _attempt(self, api: Api) -> bool:
        """Take or renew it: by one request where nobody has written since we did, which the server sees to."""
        lease = self._written or await self._read(api)
        if lease is None:
            if self._seen is not None and not self._is_stale("", 0.0):
                return False
            lease = {"apiVersion": VERSION, "kind": "Lease", "metadata": {"name": NAME}}
        spec, version = lease.setdefault("spec", {}), lease["metadata"].get("resourceVersion", "")
        holder = spec.get("holderIdentity")
        if holder and holder != self._me and not self._is_stale(version, float(spec.get("leaseDurationSeconds") or 0)):
            return False
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if holder != self._me:
            spec.update(acquireTime=now, leaseTransitions=int(spec.get("leaseTransitions") or 0) + 1)
        spec.update(holderIdentity=self._me, renewTime=now, leaseDurationSeconds=int(self._duration))
        self._written = await self._write(api, lease)
        return True

    def _is_stale(self, version: str, theirs: float) -> bool:
        """Tell whether ``version``, empty where it is gone, was seen for as long as its holder may act."""
        if version != self._seen:
            self._seen, self._stale_at = version, time.monotonic() + max(self._duration, theirs)
        return time.monotonic() >= self._stale_at

    async def _release(self, api: Api) -> None:
        held, self._held = self.held(), (self._terms, 0.0)
        if not held:
            return
        try:
            async with asyncio.timeout((self._duration - self._margin) * PATIENCE):
                lease = await self._read(api)
                if lease and lease["spec"].get("holderIdentity") == self._me:
                    lease["spec"]["holderIdentity"] = ""
                    await self._write(api, lease)
        except (TimeoutError, HeadraceError) as error:
            log.warning("The Lease was not released, another operator waits for its end: %s", error)

    async def _read(self, api: Api) -> dict[str, Any] | None:
        found = await api.get(path(VERSION, "Lease", self._namespace, NAME))
        return None if found is None else dict(found)

    async def _write(self, api: Api, lease: dict[str, Any]) -> dict[str, Any]:
        """Make it with its holder, so that nobody sees one that is nobody's, or change it."""
        verb, name = ("PUT", NAME) if "resourceVersion" in lease["metadata"] else ("POST", "")
        return dict(await api.send(verb, path(VERSION, "Lease", self._namespace, name), body=lease))


async def hold(lease: Lease, configuration: Any) -> None:
    """Hold the Lease over a connection of its own."""
    api = Api(configuration)
    try:
        await lease.run(api)
    finally:
        await api.close()
