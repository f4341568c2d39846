"""What a commit says beside its offset is read as it was meant, and what others write there says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from headrace.load import LoadReport, words
from headrace.progress import First, Parker, Progress, Sequences, Stop, decode, encode

COUNTS = some.integers(0, 10**12)
NAME = "9f86d081884c7d65"
PARKERS = some.builds(Parker, COUNTS, some.from_regex(r"[0-9a-f]{16}", fullmatch=True), some.none() | COUNTS)


MAPS = some.text(alphabet="ABCabc012-_")
LOADS = some.builds(
    LoadReport,
    pod=some.from_regex(r"[a-z0-9][a-z0-9.-]{0,62}", fullmatch=True),
    **dict.fromkeys(("end", "window", "busy", "handled", "parked", "since"), COUNTS),
    cause=some.from_regex(r"[A-Za-z_.]{0,80}", fullmatch=True),
)


@given(
    some.builds(
        Progress,
        done=COUNTS,
        retrying=COUNTS,
        held=COUNTS,
        running=some.booleans(),
        map=MAPS,
        load=some.none() | LOADS,
        stopped=some.none() | some.builds(Stop, some.integers(0, 10**9), COUNTS, COUNTS),
        sequences=some.none() | some.builds(Sequences, some.integers(0, 10**9), COUNTS, some.integers(0, 10**9)),
        first=some.none() | some.builds(First, some.integers(0, 10**9), COUNTS),
        parkers=some.lists(PARKERS, max_size=4).map(tuple),
        mark=some.just("") | some.builds("{}/{}".format, some.uuids(), some.uuids()),
    )
)
def test_what_is_told_is_read(progress: Progress) -> None:
    told = encode(progress)
    assert decode(told) == progress
    load = 300 if progress.load else 0
    assert len(told) < 500 + len(progress.map) + load, "Kafka takes 4 KB, and a commit has many partitions"
    assert told.isascii()


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


@pytest.mark.parametrize("stopped", ["", "4", "4/12", "x/1@2", "4/-1@2", "9" * 5000 + "/1@2", "4/12@²"])
def test_a_stop_that_nobody_can_read_is_none(stopped: str) -> None:
    assert decode(f"h1 done=4 stopped={stopped}") == Progress(done=4)


@pytest.mark.parametrize("first", ["", "6", "6@", "x@1", "-6@1", "6@" + "9" * 5000, "6@²", "6@1@1"])
def test_a_first_that_nobody_can_read_is_none(first: str) -> None:
    assert decode(f"h1 done=4 first={first}") == Progress(done=4)


@pytest.mark.parametrize(
    "parkers",
    [
        *("", "6", "6/", "6/1f", f"-6/{NAME}", f"²/{NAME}", f"6/{NAME},", "9" * 5000, ",".join([f"6/{NAME}"] * 5)),
        *(f"6/{NAME}/", f"6/{NAME}/x", f"6/{NAME}/1/2", f"6/{NAME}/-1"),
    ],
)
def test_parkers_that_nobody_can_read_are_none(parkers: str) -> None:
    assert decode(f"h1 done=4 parkers={parkers}") == Progress(done=4)


@pytest.mark.parametrize("mark", ["", "a", "a/", "a/b/c", "a/b\n", "ä/b", "a" * 65 + "/b"])
def test_a_mark_that_is_none_of_ours_is_none(mark: str) -> None:
    assert decode(f"h1 done=4 mark={mark}") == Progress(done=4)


REPORT = LoadReport(pod="billing-7d4-x2", end=1_795_863_600, window=5003, busy=375, handled=1234)


def test_a_load_is_a_few_words() -> None:
    text = encode(Progress(done=4, load=REPORT))
    assert text == "h1 done=4 retrying=0 held=0 pod=billing-7d4-x2 end=1795863600 window=5003 busy=375 handled=1234"


@pytest.mark.parametrize(
    "words",
    [
        "busy=375",
        "pod= end=1",
        "pod=a/b end=1",
        "pod=a%s end=1" % ("b" * 63),
        "pod=a end=-1",
        "pod=a end=1.5",
        "pod=a end=" + "9" * 20,
        "pod=a end=1 circuit=melted",
    ],
)
def test_a_load_that_is_not_ours_is_passed_over_alone(words: str) -> None:
    assert decode(f"h1 done=4 {words}") == Progress(done=4)


def test_a_cause_that_could_break_the_metadata_is_left_out() -> None:
    """Names of exceptions are a handler's, and may be anything that Python takes for a name."""
    odd = LoadReport(pod="a", end=1, window=1, busy=1, handled=1, circuit="open", since=1, cause="Störung done=9")
    assert words(odd) == ["pod=a", "end=1", "window=1", "busy=1", "handled=1", "since=1", "circuit=open"]
