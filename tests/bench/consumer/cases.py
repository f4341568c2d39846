"""What is measured and what must hold: cases, their contestants, and their gates. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from headrace import config as contract
from tests.bench.consumer.contestants import Contestant, headrace, naive, parallel_consumer

Figures = Mapping[str, float]
"""What one run gave, by the names in `UNITS`."""

RATE, CPU, RSS, HALF, MOST = "records/s", "CPU µs/record", "MiB", "p50 ms", "p99 ms"
PARKED = "parked keys"

Round = Mapping[str, Figures]
"""What each contestant gave when all had run once."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A figure of a round, the median of which must be ``at_least`` or at most ``bound``; an aim need not.

    ``lacks`` says what does not exist that the figure is of.
    """

    name: str
    bound: float
    figure: Callable[[Round], float] = lambda _: 0.0
    at_least: bool = True
    is_aim: bool = False
    lacks: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One table: its contestants handle the same topic.

    ``share`` is the number of records as a share of the usual, ``least`` what a run of whatever size has, as it means
    nothing with fewer. ``events`` are noted of each record: its begin, and its end where that is later.
    """

    name: str
    title: str
    contestants: tuple[Contestant, ...]
    gates: tuple[Gate, ...] = ()
    kind: Literal["drain", "push", "shared", "trickle", "idle", "parked"] = "drain"
    share: float = 1.0
    least: int = 0
    keys: int = 1000
    events: int = 1


def of(name: str, figure: str = RATE) -> Callable[[Round], float]:
    """Return the figure of one contestant."""
    return lambda one: one[name][figure]


def ratio(ours: str, *theirs: str, scale: float = 1.0) -> Callable[[Round], float]:
    """Return our rate as a ratio to the best of theirs."""
    return lambda one: one[ours][RATE] / max(one[name][RATE] for name in theirs) * scale


BARE = Contestant(name="bare consume(1000)", kind="bare", work="bare:noop")
POLLING = Contestant(name="bare poll()", kind="bare", work="bare:delayed")
QUIX = Contestant(name="Quix Streams apply", kind="quix", work="noop")
FAST = Contestant(name="FastStream (aiokafka)", kind="faststream", work="noop")
NOOP = headrace("noop", 100, "Headrace, async")
PLAIN = headrace("plain", 100, "Headrace, plain")
OURS = headrace("wait", 1000)
FEW = headrace("wait", 50)
PUSH = headrace("posts", 100)
JVM = parallel_consumer("noop", 100)
JVM_WAITS = (parallel_consumer("waits", 500), parallel_consumer("waits", 1000))
JVM_POSTS = parallel_consumer("posts", 100)
WINDOW, POSTS = naive("waits", 1000), naive("posts", 100)
TWO = Contestant(name="two bare processes", kind="bare", work="bare:busy", processes=2)
PROCESSES = headrace("compute", 2, "Headrace, two worker processes", settings={"isolation": "Process"})
HAS_PROCESSES = "isolation" in contract.Python.model_fields
CLEAN = headrace("storm", 100, "nothing fails", variables={"BENCH_LEFT_OUT": "10", "BENCH_FAILS": "0"})
STORM = headrace("storm", 100, "1 % fail five times", variables={"BENCH_LEFT_OUT": "10", "BENCH_FAILS": "5"})
LATE = headrace("delayed", 100)
IDLE = headrace("noop", 8)
GROWING = tuple(headrace("noop", 100, f"{keys:,} keys", keys=keys) for keys in (1_000, 10_000, 100_000, 1_000_000))
NONE_PARKED, SOME_PARKED, MANY_PARKED = (
    headrace(work, 100, name, keys=400_000, variables={"BENCH_LEFT_OUT": left_out})
    for work, name, left_out in (
        ("storm", "none of 400,000 keys parked", "250"),
        ("parks", "10,000 parked", "25"),
        ("parks", "100,000 parked", "250"),
    )
)
KEY_LIMIT = 50 / 0.01
ALONE = Contestant(name="asyncio alone, all records at hand", kind="bare", work="alone", ordered=True)

CASES = (
    Case(
        name="noop",
        title="A function that does nothing, by order of key",
        contestants=(NOOP, JVM, QUIX, FAST, BARE),
        gates=(
            Gate(name="async ≥ 1.2 x Parallel Consumer", bound=1.2, figure=ratio(NOOP.name, JVM.name)),
            Gate(name="async ≥ 1.0 x Quix Streams", bound=1.0, figure=ratio(NOOP.name, QUIX.name), is_aim=True),
            Gate(name="async ≥ 0.3 x bare consume(1000)", bound=0.3, figure=ratio(NOOP.name, BARE.name), is_aim=True),
        ),
    ),
    Case(
        name="plain",
        title="A plain function that does nothing, beside an async one",
        contestants=(PLAIN, NOOP),
        gates=(
            Gate(name="plain ≥ 0.8 x async", bound=0.8, figure=ratio(PLAIN.name, NOOP.name)),
            Gate(name="plain ≥ 1.0 x async", bound=1.0, figure=ratio(PLAIN.name, NOOP.name), is_aim=True),
        ),
    ),
    Case(
        name="wait",
        title="A function that waits 10 ms, 1,000 keys",
        contestants=(OURS, *JVM_WAITS, WINDOW),
        gates=(
            Gate(
                name="≥ 2.0 x Parallel Consumer at its best concurrency",
                bound=2.0,
                figure=ratio(OURS.name, *(one.name for one in JVM_WAITS)),
            ),
            Gate(name="≥ 0.85 x naive window", bound=0.85, figure=ratio(OURS.name, WINDOW.name)),
            Gate(name="≥ 0.95 x naive window", bound=0.95, figure=ratio(OURS.name, WINDOW.name), is_aim=True),
        ),
        share=0.2,
        events=2,
    ),
    Case(
        name="push",
        title="HTTP push to a trivial server, 100 in flight",
        contestants=(PUSH, JVM_POSTS, POSTS),
        gates=(
            Gate(name="≥ 1.3 x Parallel Consumer", bound=1.3, figure=ratio(PUSH.name, JVM_POSTS.name)),
            Gate(name="≥ 0.85 x naive window", bound=0.85, figure=ratio(PUSH.name, POSTS.name)),
            Gate(name="≥ 0.95 x naive window", bound=0.95, figure=ratio(PUSH.name, POSTS.name), is_aim=True),
        ),
        kind="push",
        share=0.1,
    ),
    Case(
        name="few-keys",
        title="A function that waits 10 ms, 50 keys",
        contestants=(FEW, ALONE),
        gates=(
            Gate(
                name="≥ 0.9 x what the order of 50 keys allows",
                bound=0.9,
                figure=lambda one: one[FEW.name][RATE] / KEY_LIMIT,
            ),
            Gate(
                name="asyncio alone ≥ 0.9 x what the order of 50 keys allows",
                bound=0.9,
                figure=lambda one: one[ALONE.name][RATE] / KEY_LIMIT,
                is_aim=True,
            ),
            Gate(name="≥ 1.0 x asyncio alone", bound=1.0, figure=ratio(FEW.name, ALONE.name), is_aim=True),
        ),
        share=0.1,
        least=15_000,
        keys=50,
        events=2,
    ),
    Case(
        name="busy",
        title="A function that keeps a processor busy for 1 ms",
        contestants=(TWO, PROCESSES) if HAS_PROCESSES else (TWO,),
        gates=(
            Gate(
                name="two worker processes ≥ 0.9 x two bare processes",
                bound=0.9,
                figure=ratio(PROCESSES.name, TWO.name),
                lacks="" if HAS_PROCESSES else "functions in worker processes",
            ),
        ),
        kind="shared",
        share=0.04,
        events=2,
    ),
    Case(
        name="latency",
        title="From being sent to the function, at 1,000 records/s",
        contestants=(LATE, POLLING),
        gates=(
            Gate(
                name="p50 ≤ 2 ms over bare",
                bound=2.0,
                figure=lambda one: one[LATE.name][HALF] - one[POLLING.name][HALF],
                at_least=False,
            ),
            Gate(
                name="p99 ≤ 10 ms over bare",
                bound=10.0,
                figure=lambda one: one[LATE.name][MOST] - one[POLLING.name][MOST],
                at_least=False,
            ),
        ),
        kind="trickle",
        share=1 / 15,
        least=16_000,
    ),
    Case(
        name="idle",
        title="A pod with nothing to do",
        contestants=(IDLE,),
        gates=(Gate(name="resident ≤ 100 MiB", bound=100.0, figure=of(IDLE.name, RSS), at_least=False),),
        kind="idle",
        share=0.0,
    ),
    Case(
        name="storm",
        title="The records of 1 % of the keys fail five times each: the rate of the others",
        contestants=(CLEAN, STORM),
        gates=(
            Gate(name="others ≥ 0.9 x the clean rate", bound=0.9, figure=ratio(STORM.name, CLEAN.name)),
        ),
    ),
    Case(
        name="keys",
        title="As keys grow, a function that does nothing",
        contestants=GROWING,
        gates=(
            Gate(
                name="rate with 1,000,000 keys over that with 1,000",
                bound=0.5,
                figure=ratio(GROWING[-1].name, GROWING[0].name),
                is_aim=True,
            ),
            Gate(
                name="bytes more for each of 1,000,000 keys",
                bound=100.0,
                figure=lambda one: (one[GROWING[-1].name][RSS] - one[GROWING[0].name][RSS]) * 2**20 / 1e6,
                at_least=False,
                is_aim=True,
            ),
        ),
    ),
    Case(
        name="parked",
        title="As keys are parked: the rate of the others, and memory",
        contestants=(NONE_PARKED, SOME_PARKED, MANY_PARKED),
        gates=(
            Gate(
                name="rate of the others beside 100,000 parked keys over that beside none",
                bound=0.5,
                figure=ratio(MANY_PARKED.name, NONE_PARKED.name),
                is_aim=True,
            ),
            Gate(
                name="bytes for each of 100,000 parked keys",
                bound=1000.0,
                figure=lambda one: (
                    (one[MANY_PARKED.name][RSS] - one[NONE_PARKED.name][RSS]) * 2**20 / one[MANY_PARKED.name][PARKED]
                ),
                at_least=False,
                is_aim=True,
            ),
        ),
        kind="parked",
        share=4 / 3,
        keys=400_000,
    ),
)  # fmt: skip
