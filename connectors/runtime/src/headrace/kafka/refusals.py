"""Which answers of Kafka to a write are refusals: sent again as it is, the record is refused again.

Only what the broker itself answered counts; whatever means that it was not reached, or not ready, may pass.
"""

from __future__ import annotations

from confluent_kafka import KafkaError

SIZE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

PASSING = frozenset({
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID, KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.REQUEST_TIMED_OUT, KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE, KafkaError.NETWORK_EXCEPTION, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR, KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, KafkaError.KAFKA_STORAGE_ERROR, KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, KafkaError.DUPLICATE_SEQUENCE_NUMBER,
    KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.INVALID_PRODUCER_ID_MAPPING, KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError.INVALID_TXN_STATE, KafkaError.CONCURRENT_TRANSACTIONS, KafkaError.THROTTLING_QUOTA_EXCEEDED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
})  # fmt: skip


def is_refusal(error: KafkaError) -> bool:
    """Return whether ``error`` says that Kafka will not take this record, or one that was sent along with it."""
    code = error.code()
    return code == KafkaError._INVALID_DIFFERENT_RECORD or (code > 0 and code not in PASSING)


def is_for_size(error: KafkaError) -> bool:
    """Return whether ``error`` says that the record, or all that was sent along with it, is too large."""
    return error.code() in SIZE
