"""Which failures concern every question, and what a silence is put down to."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from headrace_operator.clients.errors import HeadraceError, Invalid, Retryable, Unauthorized, Unreachable
from headrace_operator.clients.kafka_failures import FRESH, REST, Failures


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> Failures:
    return Failures("Kafka main", clock)


def failure(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def shared(failures: Failures) -> HeadraceError | None:
    try:
        failures.check()
    except HeadraceError as error:
        return error
    return None


def test_a_kafka_that_answers_nobody_is_left_alone_for_a_while(failures: Failures, clock: Clock) -> None:
    said = failures.failed("describe the cluster", failure(KafkaError._TIMED_OUT), clock.at)

    assert isinstance(said, Unreachable)
    assert shared(failures) is said
    clock.at += REST
    assert shared(failures) is None


def test_an_answer_ends_it_at_once(failures: Failures, clock: Clock) -> None:
    failures.failed("describe the cluster", failure(KafkaError._TIMED_OUT), clock.at)
    failures.answered()

    assert shared(failures) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.COORDINATOR_NOT_AVAILABLE, Retryable),
        (KafkaError.LEADER_NOT_AVAILABLE, Retryable),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Retryable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Unauthorized),
        (KafkaError.POLICY_VIOLATION, Invalid),
    ],
)
def test_what_was_answered_is_the_askers_own(
    failures: Failures, clock: Clock, code: int, kind: type[HeadraceError]
) -> None:
    said = failures.failed("read offsets of g", failure(code), clock.at)

    assert isinstance(said, kind)
    assert "read offsets of g" in str(said)
    assert shared(failures) is None


def test_a_silence_while_others_are_answered_is_the_askers_own(failures: Failures, clock: Clock) -> None:
    """A group whose coordinator is away times out while the rest of the cluster answers."""
    begun = clock.at
    clock.at += 1
    failures.answered()
    clock.at += 3

    assert isinstance(failures.failed("read offsets of g", failure(KafkaError._TIMED_OUT), begun), Unreachable)
    assert shared(failures) is None


def test_a_refused_login_concerns_every_question(failures: Failures, clock: Clock) -> None:
    failures.note(KafkaError(KafkaError._AUTHENTICATION, "bad password"))
    said = failures.failed("describe the cluster", failure(KafkaError._TIMED_OUT), clock.at)

    assert isinstance(said, Unauthorized)
    assert "bad password" in str(said)
    assert shared(failures) is said


def test_a_complaint_is_not_the_cause_of_a_later_silence(failures: Failures, clock: Clock) -> None:
    """It is forgotten when Kafka answers, and when it is old."""
    silence = failure(KafkaError._TIMED_OUT)
    failures.note(KafkaError(KafkaError._TRANSPORT, "Connection refused"))
    assert "Connection refused" in str(failures.failed("x", silence, clock.at))

    failures.answered()
    assert "Connection refused" not in str(failures.failed("x", silence, clock.at))

    failures.note(KafkaError(KafkaError._TRANSPORT, "Connection refused"))
    clock.at += FRESH
    assert "Connection refused" not in str(failures.failed("x", silence, clock.at))


@pytest.mark.parametrize(
    "more",
    ["after 0ms in state CONNECT", "after 71ms in state CONNECT, 4 identical error(s) suppressed", "in state UP"],
)
def test_the_same_failure_is_told_in_the_same_words(failures: Failures, clock: Clock, more: str) -> None:
    failures.note(KafkaError(KafkaError._TRANSPORT, f"kafka:9092/1: Connect to kafka:9092 failed: refused ({more})"))

    said = failures.failed("describe the cluster", failure(KafkaError._TIMED_OUT), clock.at)

    assert str(said) == "Kafka main does not answer: kafka:9092/1: Connect to kafka:9092 failed: refused"
