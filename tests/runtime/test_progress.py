"""What a commit says beside its offset is read as it was meant, and what others write there says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from headrace.progress import Progress, decode, encode

COUNTS = some.integers(0, 10**12)


MAPS = some.text(alphabet="ABCabc012-_")


@given(some.builds(Progress, done=COUNTS, retrying=COUNTS, held=COUNTS, map=MAPS))
def test_what_is_told_is_read(progress: Progress) -> None:
    assert decode(encode(progress)) == progress
    assert len(encode(progress)) < 100 + len(progress.map), "Kafka takes 4 KB, and a commit has many partitions"


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "",
        "h2 done=1",
        "h1done=1",
        "consumer-1-4f2",
        "h1 done=-1",
        "h1 done=1.5",
        "h1 done=²",
        "h1 held=" + "9" * 5000,
    ],
)
def test_what_others_write_says_nothing(metadata: str | None) -> None:
    assert decode(metadata) is None


@given(some.text())
def test_no_metadata_is_an_error(metadata: str) -> None:
    decode(metadata)
    decode("h1 " + metadata)


def test_a_later_field_is_passed_over_and_a_missing_one_is_nothing() -> None:
    assert decode("h1 done=4 attempts=2 running=0") == Progress(done=4)
