"""What went wrong with one Kafka, told in the operator's terms, and whether it concerns every question or one.

Only a failure that means "this Kafka answers nobody" is shared, for `REST` seconds; one group's coordinator or one
topic's leader that is missing is the asker's own. What the client complained of is the cause of a silence only as long
as nothing was answered since.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from headrace_operator.clients import errors

REST = 3.0
"""Seconds during which a Kafka that answers nobody is not asked again."""

FRESH = 300.0
"""Seconds for which a complaint of the client may be the cause of a silence; it repeats one after 30 s at the least."""

CHANGING = re.compile(r" \((after|in state)([^()]|\([^()]*\))*\)")
"""What differs in each telling of the same failure; a status that told it would change for ever.

The client's own words: "(after 0ms in state CONNECT, 4 identical error(s) suppressed)".
"""

SILENT = {
    KafkaError._TIMED_OUT, KafkaError._TIMED_OUT_QUEUE, KafkaError._TRANSPORT, KafkaError._RESOLVE,
    KafkaError._ALL_BROKERS_DOWN, KafkaError._SSL,
}  # fmt: skip
"""Nothing came back."""

LOGIN = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}
"""This login is refused, whatever is asked."""

DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}  # fmt: skip
"""This login may not do that."""

PASSING = {
    KafkaError.REQUEST_TIMED_OUT, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.OFFSET_NOT_AVAILABLE, KafkaError.NOT_CONTROLLER,
    KafkaError._AUTO_OFFSET_RESET, KafkaError._DESTROY,
}  # fmt: skip
"""Answers that may be other ones later."""


class Failures:
    """What is known of the failures of the Kafka called ``name``; ``now`` is a monotonic clock in seconds."""

    def __init__(self, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self._name, self._now = name, now
        self._complaint: tuple[float, KafkaError] | None = None
        self._shared: tuple[float, errors.HeadraceError] | None = None
        self._answered = -FRESH

    def note(self, error: KafkaError) -> None:
        """Remember what the client complains of."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._complaint = (self._now(), error)

    def answered(self) -> None:
        """Forget everything: Kafka answered."""
        self._answered, self._complaint, self._shared = self._now(), None, None

    def check(self) -> None:
        """Raise the shared failure while it lasts."""
        if self._shared and self._now() < self._shared[0] + REST:
            raise self._shared[1].with_traceback(None)

    def failed(self, what: str, error: Exception, begun: float) -> errors.HeadraceError:
        """Return the failure of the question ``what``, which was asked at ``begun``; share it when it is everyone's."""
        cause = error.args[0] if isinstance(error, KafkaException) else None
        code = cause.code() if cause else KafkaError._TIMED_OUT
        if code in SILENT and (complaint := self._fresh()):
            code, cause = complaint.code(), complaint
        said = CHANGING.sub("", cause.str()) if cause else "no answer in time"
        failure = self._named(code, what, said)
        if code in LOGIN or (code in SILENT and self._answered < begun):
            self._shared = (self._now(), failure)
        return failure

    def _fresh(self) -> KafkaError | None:
        return self._complaint[1] if self._complaint and self._now() < self._complaint[0] + FRESH else None

    def _named(self, code: int, what: str, said: str) -> errors.HeadraceError:
        if code in LOGIN | DENIED:
            text = f"{self._name} refuses to {what}: {said}. Check the credentials and what they allow."
            return errors.Unauthorized(text)
        if code in SILENT:
            return errors.Unreachable(f"{self._name} does not answer: {said}")
        if code in PASSING:
            return errors.Retryable(f"{self._name}: could not {what} yet: {said}")
        return errors.Invalid(f"{self._name}: could not {what}: {said}")
