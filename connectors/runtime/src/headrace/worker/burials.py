"""What the dead letters of a pod say: of records that failed, and of those that wait behind one."""

from __future__ import annotations

from headrace import headers
from headrace.failure import Failure, Reason
from headrace.flow.lanes import Job
from headrace.flow.policy import Failed
from headrace.record import Headers

BEHIND = "a record of its key before it is a dead letter: it goes back by itself once that is put back or discarded"


def letter(job: Job, failed: Failed, reason: Reason, *, group: str, now: float, parks_key: str | None) -> Headers:
    """Return the headers of the dead letter of a record that ``failed``; ``now`` is in seconds since 1970.

    ``parks_key`` names the ownership in which it is written, where its key waits behind it.
    """
    failure = Failure(
        group=group,
        reason=reason,
        attempts=job.attempt,
        crashes=job.crashes + job.worker_crashes,
        message=failed.message,
        exception=failed.exception,
        status=failed.status,
        first_failed_at=job.first_failed_at or now,
        last_failed_at=now,
        traced=failed.traced,
        parks_key=parks_key,
    )
    return headers.for_dead_letter(job.record, failure)


def follower(job: Job, *, group: str, now: float, parks_key: str) -> Headers:
    """Return the headers of the dead letter of a record that waits behind one of its key; the rest is as above."""
    failure = Failure(
        group=group,
        reason=Reason.KEY_PARKED,
        attempts=job.attempt - 1,
        crashes=job.crashes + job.worker_crashes,
        message=BEHIND,
        exception="headrace.KeyParked",
        first_failed_at=job.first_failed_at or now,
        last_failed_at=now,
        parks_key=parks_key,
    )
    return headers.for_dead_letter(job.record, failure)
