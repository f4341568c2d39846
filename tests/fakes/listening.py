"""A Kafka, and a Debezium that listens there: what it is told of snapshots it does, as far as a test lets it.

One that is asked for twice is read twice, as by the real one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.fakes.connect import FakeConnect
from tests.fakes.kafka import FakeKafka

NAMED = "incremental_snapshot_correlation_id"


class ListeningKafka(FakeKafka):
    """Its connector has every signal at once."""

    def __init__(
        self, name: str, properties: Mapping[str, str], connect: FakeConnect, now: Callable[[], datetime]
    ) -> None:
        super().__init__(name, properties)
        self.debezium = Debezium(connect=connect, now=now, write=self.write)

    async def send(self, topic: str, value: bytes, key: bytes | None = None) -> None:
        """Write a record, of which the connector is told."""
        await super().send(topic, value, key)
        if topic.endswith(".signals"):
            self.debezium.take(topic.removesuffix(".signals"), json.loads(value))


@dataclass
class Debezium:
    """It takes a snapshot after another; ``done`` is what it was told and had not done yet."""

    connect: FakeConnect
    now: Callable[[], datetime]
    write: Callable[[str, bytes], None]
    done: list[str] = field(default_factory=list)
    prefix: str = ""
    id: str | None = None
    rests: bool = False
    ends: bool = False
    tables: list[str] = field(default_factory=list)

    def take(self, prefix: str, signal: Mapping[str, Any]) -> None:
        """Do as a signal says."""
        self.prefix = prefix
        match signal["type"]:
            case "execute-snapshot":
                self.id, self.rests, self.ends = signal["id"], False, False
                self.tables += signal["data"]["data-collections"]
                self._do("read", "STARTED")
            case "pause-snapshot" if self.id and not self.rests:
                self.rests = True
                self._do("pause", "PAUSED")
            case "resume-snapshot" if self.rests:
                self.rests = False
                self._do("resume", "RESUMED")
            case "stop-snapshot" if self.id:
                self.ends = True
        if self.id and self.ends and not self.rests:
            self.done.append("stop")
            self._end("ABORTED")

    def finish(self) -> None:
        """Let every table be read, of ten rows each."""
        for table in self.tables:
            read = {"scanned_collection": table, "status": "SUCCEEDED", "total_rows_scanned": "10"}
            self._tell("TABLE_SCAN_COMPLETED", **read)
        self._end("COMPLETED")

    def _do(self, what: str, told: str) -> None:
        self.done.append(what)
        self._tell(told)
        self._name()

    def _end(self, told: str) -> None:
        self._tell(told)
        self.id, self.tables = None, []
        self._name()

    def _name(self) -> None:
        """Have the offsets of the connector say which snapshot is under way."""
        for each in (one for connector in self.connect.connectors.values() for one in connector.offsets):
            known = {name: value for name, value in each["offset"].items() if name != NAMED}
            each["offset"] = known | ({NAMED: self.id} if self.id else {})

    def _tell(self, event: str, **data: str) -> None:
        told: dict[str, Any] = {"id": self.id, "aggregate_type": "Incremental Snapshot", "type": event}
        told |= {"timestamp": int(self.now().timestamp() * 1000), "additional_data": data}
        self.write(f"{self.prefix}.notifications", json.dumps(told).encode())
