"""One record, sent by a client that is there for it alone; who sends many has another. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer


def send(
    properties: Mapping[str, str],
    topic: str,
    record: tuple[bytes | None, bytes],
    seconds: float,
    note: Callable[[KafkaError], None],
) -> None:
    """Write a ``record``, key and value, to ``topic``, acknowledged in so many ``seconds``; raises KafkaException."""
    failed: list[KafkaError] = []

    def told(error: KafkaError | None, _: Message) -> None:
        failed.extend([error] if error is not None else [])

    within = {"message.timeout.ms": str(int(seconds * 1000)), "enable.idempotence": "true"}
    client = Producer({**properties, **within, "error_cb": note})
    key, value = record
    client.produce(topic, value, key, on_delivery=told)
    if client.flush(seconds + 1):
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    if failed:
        raise KafkaException(failed[0])
