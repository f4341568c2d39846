"""Why a condition is what it is: the one list that conditions and Events take their reasons from."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """CamelCase words, as `kubectl describe` shows them."""

    ACCEPTED = "Accepted"
    INVALID = "InvalidSpec"
    PASSWORD_IN_CONFIG = "PasswordInConfig"
    VALIDATION_FAILED = "ValidationFailed"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_KEY_MISSING = "SecretKeyMissing"
    CODE_NOT_FOUND = "CodeNotFound"
    KAFKA_NOT_FOUND = "KafkaConnectionNotFound"
    KAFKA_UNREACHABLE = "KafkaUnreachable"
    KAFKA_REACHABLE = "KafkaReachable"
    CONNECT_NOT_FOUND = "ConnectClusterNotFound"
    CONNECT_UNREACHABLE = "ConnectUnreachable"
    CONNECT_ANSWERS = "ConnectAnswers"
    CONNECTOR_NOT_FOUND = "ConnectorNotFound"
    AWAITING_TOPIC = "AwaitingTopic"
    TOPICS_EXIST = "TopicsExist"
    APPLYING = "Applying"
    ROLLING_OUT = "RollingOut"
    PODS_FAILING = "PodsFailing"
    DEPLOYED = "Deployed"
    CONSUMING = "Consuming"
    NO_COMMITS_YET = "NoCommitsYet"
    WITHIN_TARGET = "WithinTarget"
    ABOVE_TARGET = "AboveTarget"
    LAG_UNKNOWN = "LagUnknown"
    SCALING = "ScalingActive"
    TASKS_RUNNING = "TasksRunning"
    TASK_FAILED = "TaskFailed"
    STARTING = "Starting"
    PAUSED = "Paused"
    STOPPED = "Stopped"
    RESTARTS_EXHAUSTED = "RestartsExhausted"
    READY = "Ready"
    UNKNOWN = "Unknown"
