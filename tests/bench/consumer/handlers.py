"""The functions that Headrace is given in the measured runs."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import headrace
from tests.bench.consumer.meter import Meter, SharedMeter
from tests.bench.consumer.work import spin

LEFT_OUT, FAILS = int(os.environ.get("BENCH_LEFT_OUT", "0")), int(os.environ.get("BENCH_FAILS", "0"))
"""Of a thousand keys, how many are not counted, and how often each of their records fails."""

METER = Meter()
SHARED = SharedMeter()


async def noop(record: headrace.Record) -> None:
    """Do nothing."""
    METER.note(record.value or b"")


def plain(record: headrace.Record) -> None:
    """Do nothing, in a function that is not async."""
    METER.note(record.value or b"")


async def wait(record: headrace.Record) -> None:
    """Wait 10 ms, as for somebody's answer."""
    METER.note(record.value or b"")
    await asyncio.sleep(0.01)
    METER.note(record.value or b"")


async def delayed(record: headrace.Record) -> None:
    """Note how long the record was on its way."""
    METER.note_delay(record.value or b"")


async def storm(record: headrace.Record) -> None:
    """Fail with the records of some keys; those of the others are counted."""
    if int(record.key or 0) % 1000 >= LEFT_OUT:
        METER.note(record.value or b"")
    elif record.attempt <= FAILS:
        raise RuntimeError("not yet")


async def parks(record: headrace.Record) -> None:
    """Ask for a late attempt at the records of some keys, so that these are parked; those of the others are counted."""
    if int(record.key or 0) % 1000 < LEFT_OUT:
        raise headrace.Retry(after=timedelta(hours=1))
    METER.note(record.value or b"")


def compute(record: headrace.Record) -> None:
    """Keep a processor busy for about 1 ms."""
    SHARED.note(record.value or b"")
    spin()
    SHARED.note(record.value or b"")
