"""The loggers of a fake worker, which is held to the real one by tests/contract as all of the fake is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

LOGGERS = {
    "root": "INFO",
    "io.debezium.config.Field": "INFO",
    "org.apache.kafka.clients": "WARN",
    "org.apache.kafka.clients.NetworkClient": "WARN",
    "org.apache.kafka.common.config": "WARN",
    "org.apache.kafka.connect.runtime.Worker": "INFO",
    "org.reflections": "ERROR",
}
"""Some loggers of a worker that has just started, by the configuration of the image."""

LEVELS = ("OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL")


@dataclass
class FakeLoggers:
    """Their levels, and which were changed since the worker started."""

    levels: dict[str, str] = field(default_factory=lambda: dict(LOGGERS))
    changed: set[str] = field(default_factory=set)

    async def listing(self, _: web.Request) -> web.Response:
        """Tell them: one that is switched off is left out."""
        told = {
            name: {"level": level, "last_modified": 1796014242262 if name in self.changed else None}
            for name, level in sorted(self.levels.items())
            if level != "OFF"
        }
        return web.json_response(told)

    async def put(self, request: web.Request) -> web.Response:
        """Set the level that is asked for, or say why not."""
        level = (await request.json()).get("level")
        if level in LEVELS:
            return web.json_response(self._set(request.match_info["logger"], level))
        unsaid = (400, "Desired 'level' parameter was not specified in request.")
        status, message = unsaid if level is None else (404, f"invalid log level '{level}'.")
        return web.json_response({"error_code": status, "message": message}, status=status)

    def _set(self, named: str, level: str) -> list[str]:
        """Set the level of a logger and of all that begin with its name; return those that had another one."""
        self.levels.setdefault(named, inherited(self.levels, named))
        below = [name for name in self.levels if named == "root" or name.startswith(named)]
        changed = sorted(name for name in below if self.levels[name] != level)
        self.levels |= dict.fromkeys(changed, level)
        self.changed |= {*changed}
        return changed


def inherited(levels: Mapping[str, str], name: str) -> str:
    """Return the level that a logger has where it is given none of its own."""
    above = (one for one in levels if name.startswith(f"{one}."))
    return levels[max(above, key=len, default="root")]
