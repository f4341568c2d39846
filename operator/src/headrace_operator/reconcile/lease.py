"""Who may act: one process holds the Lease, and acts only while its own clock says that nobody else can hold it.

The fence: `Lease.until` counts from before the request that renewed it, less a margin; another process waits until the
resourceVersion it saw stays unchanged for the whole duration by its own clock. No wall times are compared.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from typing import Any

from headrace_operator.clients.api import Api, path
from headrace_operator.clients.errors import Conflict, HeadraceError, Missing

NAME = "headrace-operator"
VERSION = "coordination.k8s.io/v1"

log = logging.getLogger(__name__)


class Lease:
    """A Lease of ``duration`` seconds, tried each ``retry`` seconds, given up ``margin`` seconds early."""

    def __init__(
        self, namespace: str, me: str, *, duration: float = 30.0, retry: float = 2.0, margin: float = 5.0
    ) -> None:
        self._namespace, self._me = namespace, me
        self._duration, self._retry, self._margin = duration, retry, margin
        self._until = 0.0
        self._seen, self._seen_at = "", 0.0
        self._written: dict[str, Any] | None = None

    def held(self, deadline: float = 0.0) -> bool:
        """Return whether an act that takes up to ``deadline`` seconds may begin now; may be asked by any thread."""
        return time.monotonic() + deadline < self._until

    async def run(self, api: Api) -> None:
        """Take and renew the Lease until cancelled; then release it."""
        try:
            while True:
                await self._renew(api)
                await asyncio.sleep(self._retry)
        finally:
            await self._release(api)

    async def _renew(self, api: Api) -> None:
        begun, before = time.monotonic(), self.held()
        try:
            async with asyncio.timeout(self._retry * 2):
                held = await self._attempt(api)
            self._until = begun + self._duration - self._margin if held else 0.0
        except (TimeoutError, HeadraceError) as error:
            self._written = None
            if isinstance(error, Conflict):
                self._until = 0.0
            log.warning("The Lease %s/%s was not renewed: %s", self._namespace, NAME, str(error) or "no answer in time")
        if self.held() != before:
            log.info("%s the Lease %s/%s", "Hold" if self.held() else "Do not hold", self._namespace, NAME)

    async def _attempt(self, api: Api) -> bool:
        """Take or renew it: by one request where nobody has written since we did, which the server sees to."""
        lease = self._written or await self._read(api)
        spec, version = lease.setdefault("spec", {}), lease["metadata"]["resourceVersion"]
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
        if version != self._seen:
            self._seen, self._seen_at = version, time.monotonic()
        return time.monotonic() - self._seen_at >= max(self._duration, theirs)

    async def _release(self, api: Api) -> None:
        held, self._until = self.held(), 0.0
        if not held:
            return
        try:
            async with asyncio.timeout(self._retry):
                lease = await self._read(api)
                if lease["spec"].get("holderIdentity") == self._me:
                    lease["spec"]["holderIdentity"] = ""
                    await self._write(api, lease)
        except (TimeoutError, HeadraceError) as error:
            log.warning("The Lease was not released, another operator waits for its end: %s", error)

    async def _read(self, api: Api) -> dict[str, Any]:
        try:
            return dict(await api.send("GET", path(VERSION, "Lease", self._namespace, NAME)))
        except Missing:
            body = {"apiVersion": VERSION, "kind": "Lease", "metadata": {"name": NAME}, "spec": {}}
            return dict(await api.send("POST", path(VERSION, "Lease", self._namespace), body=body))

    async def _write(self, api: Api, lease: dict[str, Any]) -> dict[str, Any]:
        return dict(await api.send("PUT", path(VERSION, "Lease", self._namespace, NAME), body=lease))


async def hold(lease: Lease, configuration: Any) -> None:
    """Hold the Lease over a connection of its own."""
    api = Api(configuration)
    try:
        await lease.run(api)
    finally:
        await api.close()
