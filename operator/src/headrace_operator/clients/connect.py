"""Kafka Connect over REST: what the workers run, and the writes that change it.

Source of the protocol: Kafka Connect REST API (Apache Kafka documentation), KIP-875 for offsets and STOPPED.
It must not decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import aiohttp

from headrace_operator.clients import answers, errors
from headrace_operator.clients.measured import measured
from headrace_operator.observed.connect import (
    ConnectorSeen,
    FieldError,
    PluginSeen,
    TaskSeen,
    Validation,
    WorkersSeen,
)
from headrace_operator.observed.value import Absent

DEADLINE = 5.0
"""Seconds that a read may take."""

PATIENCE = 15.0
"""Seconds that a write or a validation may take: Connect asks the database meanwhile."""


class Connect:
    """Reads and writes of any Connect by its address; every method raises `HeadraceError`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def workers(self, url: str) -> WorkersSeen:
        """Read version, plug-ins and every connector of the workers at ``url``."""
        root = await self._send("GET", f"{url}/")
        plugins = await self._send("GET", f"{url}/connector-plugins")
        expanded = await self._send("GET", f"{url}/connectors?expand=info&expand=status")
        return WorkersSeen(
            version=root["version"],
            kafka_cluster_id=root["kafka_cluster_id"],
            plugins=tuple(
                PluginSeen(class_name=one["class"], version=str(one.get("version")), type=one["type"])
                for one in plugins
            ),
            connectors={name: _connector(name, one["info"]["config"], one["status"]) for name, one in expanded.items()},
        )

    async def connector(self, url: str, name: str) -> ConnectorSeen | Absent:
        """Read one connector with its status, source offsets and topics."""
        at = f"{url}/connectors/{quote(name)}"
        try:
            config = await self._send("GET", f"{at}/config")
            status = await self._send("GET", f"{at}/status")
        except errors.Missing:
            return Absent()
        offsets = await self._send("GET", f"{at}/offsets")
        topics = await self._send("GET", f"{at}/topics")
        return _connector(name, config, status, offsets["offsets"], topics.get(name, {}).get("topics", ()))

    async def validate(self, url: str, config: Mapping[str, str]) -> Validation:
        """Ask Connect whether ``config`` would run; it tries the database, too."""
        plugin = quote(config["connector.class"])
        at = f"{url}/connector-plugins/{plugin}/config/validate"
        said = await self._send("PUT", at, body=config, deadline=PATIENCE)
        values = [one["value"] for one in said["configs"] if one["value"] is not None]
        return Validation(
            errors=tuple(FieldError(field=one["name"], message=text) for one in values for text in one["errors"])
        )

    async def put(self, url: str, name: str, config: Mapping[str, str]) -> None:
        """Create or update a connector."""
        await self._send("PUT", f"{url}/connectors/{quote(name)}/config", body=config, deadline=PATIENCE)

    async def set_state(self, url: str, name: str, verb: Literal["pause", "stop", "resume"]) -> None:
        """Pause, stop or resume a connector."""
        await self._send("PUT", f"{url}/connectors/{quote(name)}/{verb}", deadline=PATIENCE)

    async def restart(self, url: str, name: str, *, only_failed: bool) -> None:
        """Restart a connector and its tasks; ``only_failed`` leaves running ones alone (KIP-745)."""
        which = f"includeTasks=true&onlyFailed={str(only_failed).lower()}"
        await self._send("POST", f"{url}/connectors/{quote(name)}/restart?{which}", deadline=PATIENCE)

    async def remove(self, url: str, name: str) -> None:
        """Remove a connector; one that is gone is well."""
        try:
            await self._send("DELETE", f"{url}/connectors/{quote(name)}", deadline=PATIENCE)
        except errors.Missing:
            return

    @measured("connect")
    async def _send(self, method: str, url: str, *, body: Any = None, deadline: float = DEADLINE) -> Any:
        try:
            limit = aiohttp.ClientTimeout(total=deadline)
            asked = self._session.request(method, url, json=body, timeout=limit, allow_redirects=False)
            async with asked as response:
                text, status = await response.read(), response.status
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            what = (
                f"{method} {url}: Kafka Connect did not answer within {deadline:.0f} s ({str(error) or repr(error)})."
            )
            raise errors.Unreachable(what) from error
        return answers.read(f"{method} {url}", "Kafka Connect", status, text, conflict=errors.Busy)


def _connector(
    name: str, config: Mapping[str, str], status: Mapping[str, Any], offsets: Any = None, topics: Any = None
) -> ConnectorSeen:
    return ConnectorSeen(
        name=name,
        config=config,
        state=status["connector"]["state"],
        trace=status["connector"].get("trace"),
        tasks=tuple(
            TaskSeen(id=one["id"], state=one["state"], worker=one.get("worker_id"), trace=one.get("trace"))
            for one in status.get("tasks", ())
        ),
        offsets=None if offsets is None else tuple(offsets),
        topics=None if topics is None else tuple(sorted(topics)),
    )
