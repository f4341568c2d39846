"""The librdkafka properties of a pod's consumer: what is lean, what its group wants, and what correctness rests on."""

from __future__ import annotations

from headrace.config import Config
from headrace.kafka import connection, membership

LEAN = {
    "queued.min.messages": "200",
    "queued.max.messages.kbytes": "16384",
    "fetch.queue.backoff.ms": "10",
    "fetch.wait.max.ms": "100",
    "fetch.message.max.bytes": "1048576",
    "topic.metadata.refresh.interval.ms": "10000",
}
"""librdkafka's own defaults buffer 64 MB and 100,000 records, and see a new topic after five minutes.

It counts values alone: what heavy headers and keys take is bounded by the number of records fetched ahead. A fetch is
asked for while fewer are left, and brings up to 1 MiB of each partition, and in all what is buffered: few are enough to
keep it busy, and soon there are keys of all partitions. A batch of a producer, which may be as large, comes beside
those of other partitions only where it fits: with less, large batches come one partition after the other (KIP-74).
"""

LAW = {
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "check.crcs": "true",
    "isolation.level": "read_committed",
    "enable.partition.eof": "true",
}
"""What correctness rests on; extra properties do not change it."""


def of(config: Config) -> dict[str, str]:
    """Return the properties; raises ``OSError`` when a credential file cannot be read."""
    return {
        **membership.tuning(config),
        **LEAN,
        **membership.allowed(connection.properties(config.kafka), config.group_protocol),
        **LAW,
        **membership.law(config.group_protocol),
        "group.id": config.group,
        "client.id": config.group,
    }
