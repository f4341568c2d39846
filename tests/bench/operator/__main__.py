"""The bench's command line: ``python -m tests.bench.operator [CASE …] [--size N] [--rest S] [--kills N] …``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.bench.consumer import machine
from tests.bench.operator import crowding, family, killing, report
from tests.cluster import fast
from tests.cluster.failure import ClusterError
from tests.operator.operator_process import install

CASES = ("crowd", "kills", "shards")
SIZE, REST, KILLS, SHARDS = 1000, 600, 20, 5


def main(argv: list[str]) -> int:
    """Run the cases, print and write what they gave; 1 when a bound does not hold, 2 when a run went wrong.

    When it is asked to end (SIGINT, SIGTERM) it ends all that it has started, writes nothing more, and returns 130.
    """
    options = _parsed(argv)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has its background jobs ignore
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        runs = [_run(case, options) for case in options.cases or CASES]
    except (crowding.BenchError, ClusterError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what was started has ended, and nothing is written of this case", file=sys.stderr)
        return 130
    return 0 if all(gate["holds"] for told in runs for gate in told["gates"]) else 1


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench.operator", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="all, if none is named")
    parser.add_argument("--size", type=int, default=SIZE, help=f"Connectors, and Consumers, of an operator ({SIZE})")
    parser.add_argument("--rest", type=int, default=REST, help=f"seconds at rest that are measured ({REST})")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"how often one is killed ({KILLS})")
    parser.add_argument("--shards", type=int, default=SHARDS, help=f"operators, each with such a crowd ({SHARDS})")
    return parser.parse_args(argv)


def _run(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one case on an API server of its own; what is less than the whole of it is printed, and not written."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, fast.apiserver() as server:
        install(server)
        title, work, gates = _case(case, server, Path(folder), options)
        busy, used = machine.busy(), family.used()
        figures = asyncio.run(work)
        busy, used = machine.busy() - busy, family.used() - used
    told = {
        "title": title,
        "order": [CASES.index(case), options.size],
        **machine.conditions(busy, used),
        "figures": {name: _rounded(value) for name, value in figures.items()},
        "gates": report.judged(gates, figures),
    }
    if options.rest >= REST and options.kills >= KILLS:
        report.write(told)
    print(report.text(told), flush=True)
    return told


Case = tuple[str, Coroutine[Any, Any, dict[str, float]], Sequence[report.Gate]]


def _case(case: str, server: fast.ApiServer, folder: Path, options: argparse.Namespace) -> Case:
    size, rest, shards = options.size, options.rest, options.shards
    match case:
        case "crowd":
            work = crowding.measured(server, folder, size=size, rest=rest)
            return f"{size:,} Connectors and {size:,} Consumers", work, report.CROWD
        case "kills":
            work = killing.measured(server, folder, kills=options.kills)
            return "The one that acts is killed while another stands by", work, report.KILLS
        case _:
            work = crowding.measured(server, folder, size=size, rest=rest, shards=shards)
            return f"{shards} operators, each with a namespace of {size:,} Connectors and Consumers", work, ()


def _rounded(value: float) -> float:
    return round(value) if value >= 100 else round(value, 3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
