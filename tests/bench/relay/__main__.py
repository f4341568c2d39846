"""The relay beside a bare loop: ``python -m tests.bench.relay [CASE …] [--rows N] [--rounds N]``.

In each round the bare loop, one relay and two publish a load in turn, to the same broker, from the same table. What is
judged is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import mariadb_server, postgres_server
from tests.bench.consumer import machine
from tests.bench.operator import family
from tests.bench.operator.report import Gate, judged, text
from tests.bench.relay.racing import Lap, bare, lap, relays
from tests.kafka_broker import KafkaBroker, serving
from tests.runtime.relay import outboxes
from tests.runtime.relay.outboxes import Outbox

FOLDER = Path(__file__).parent
RESULTS, PAGE = FOLDER / "results.json", FOLDER / "RESULTS.md"
ROWS, ROUNDS, BATCH = 20_000, 3, 500
RATIO = "one relay to the bare loop, median of ratios of rows/s"
GATES = (Gate(figure=RATIO, bound=0.6, at_least=True),)
HEAD = f"""# The relay beside a bare loop

Written by `make bench-relay`; do not edit. The loop is SELECT, produce and UPDATE of {BATCH} rows at a time, in
`tests/bench/relay/bare.py`; its producer is set as the relay's. Database and broker are real and run on the same
machine, with one replica of the topic and without `fsync`. Rows have 400 bytes and 997 keys. A rate is rows from the
first mark to the last by the database's clock; in each round all run in turn, and a ratio is that of one round.
"""


def main(argv: list[str]) -> int:
    """Run the cases, print what they gave, and write it when they were whole; 1 when a bound does not hold."""
    parser = argparse.ArgumentParser("python -m tests.bench.relay", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="databases; all, if none is named")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows of a load ({ROWS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds ({ROUNDS})")
    options = parser.parse_args(argv)
    with serving() as broker:
        runs = [_run(case, broker, options.rows, options.rounds) for case in options.cases or CASES]
    return 0 if all(gate["holds"] for told in runs for gate in told["gates"]) else 1


def _run(case: str, broker: KafkaBroker, rows: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, CASES[case]() as place:
        made = outboxes.make(place, broker, Path(folder), batch=BATCH, interval=0.05, lease=20.0)
        made.topic(partitions=12)
        busy, used = machine.busy(), family.used()
        laps = [_round(made, rows) for _ in range(rounds)]
        busy, used = machine.busy() - busy, family.used() - used
    told = {
        "title": f"{case}, {rows:,} rows, {rounds} rounds",
        "order": [list(CASES).index(case), rows],
        **machine.conditions(busy, used),
        "figures": (figures := _figures(laps, rows)),
        "gates": judged(GATES, figures),
    }
    if rows >= ROWS and rounds >= ROUNDS:
        _write(told)
    print(text(told), flush=True)
    return told


def _round(made: Outbox, rows: int) -> dict[str, Lap]:
    """Let all publish the load in turn."""
    laps = {}
    for name, contestant in (("bare", bare(made)), ("one", relays(made, 1)), ("two", relays(made, 2))):
        with contestant as pids:
            laps[name] = lap(made, pids, rows)
    return laps


def _figures(laps: Sequence[dict[str, Lap]], rows: int) -> dict[str, float]:
    def median(of: Callable[[dict[str, Lap]], float]) -> float:
        return round(statistics.median(map(of, laps)), 3)

    return {
        RATIO: median(lambda one: one["one"].rate / one["bare"].rate),
        "two relays to the bare loop, median of ratios of rows/s": median(
            lambda one: one["two"].rate / one["bare"].rate
        ),
        "bare loop, rows/s": median(lambda one: one["bare"].rate),
        "one relay, rows/s": median(lambda one: one["one"].rate),
        "two relays, rows/s": median(lambda one: one["two"].rate),
        "bare loop, processor s for a million rows": median(lambda one: one["bare"].seconds * 1e6 / rows),
        "one relay, processor s for a million rows": median(lambda one: one["one"].seconds * 1e6 / rows),
    }


@contextmanager
def _postgres() -> Iterator[outboxes.Place]:
    with postgres_server.running() as server:
        yield outboxes.postgres(server)


@contextmanager
def _mariadb() -> Iterator[outboxes.Place]:
    with mariadb_server.running() as server:
        yield outboxes.mariadb(server)


CASES = {"PostgreSQL": _postgres, "MariaDB": _mariadb}


def _write(told: dict[str, Any]) -> None:
    """Put one run in the place of the last one of the same title."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    merged = dict(sorted({**known, told["title"]: told}.items(), key=lambda item: item[1]["order"]))
    RESULTS.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text("\n".join([HEAD, *map(text, merged.values())]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
