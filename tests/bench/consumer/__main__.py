"""The bench's command line: ``python -m tests.bench.consumer [CASE …] [--records N] [--rounds N]``."""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tests import kafka_broker
from tests.bench.consumer import environments, machine, report
from tests.bench.consumer.cases import CASES, Case, Round
from tests.bench.consumer.measure import USUAL, Bench, BenchError, clear, server
from tests.cluster.failure import ClusterError

ROUNDS = 5


def main(argv: list[str]) -> int:
    """Run the cases, print and write what they gave; 1 when a gate does not hold, 2 when a run went wrong."""
    parser = argparse.ArgumentParser("python -m tests.bench.consumer", description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*(case.name for case in CASES), []], help="all, if none is named")
    parser.add_argument("--records", type=int, default=USUAL, help="records of the largest topic (300000)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each contestant runs (5)")
    options = parser.parse_args(argv)
    chosen = [case for case in CASES if case.name in options.cases or not options.cases]
    folder = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    try:
        gates = _run(chosen, folder, options.records, options.rounds)
    except (BenchError, ClusterError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        clear(folder)
    return 0 if all(gate["holds"] for gate in gates if gate["kind"] == "must") else 1


def _run(cases: Sequence[Case], folder: Path, records: int, rounds: int) -> list[dict[str, Any]]:
    """Run the cases and tell what each gave when it is done, so that a run that is stopped has told what it had."""
    for group in {one.kind for case in cases for one in case.contestants} & set(environments.PACKAGES):
        environments.python(group)
    with kafka_broker.serving() as broker, server() as (address, serving):
        bench = Bench(broker=broker, server=address, folder=folder, base=records)
        with _progress() as progress:
            task = progress.add_task("", total=rounds * sum(len(case.contestants) for case in cases))
            running = (broker.process.pid, serving.pid)
            gates = []
            for case in cases:
                told = _measured(bench, case, rounds, Shown(progress, task), running)
                if records == USUAL and rounds >= ROUNDS:
                    report.write({case.name: told})
                print(report.text(case, told))
                gates += told["gates"]
            return gates


class Shown(NamedTuple):
    """The bar that a person sees, and its task."""

    progress: Progress
    task: TaskID


def _progress() -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=Console(stderr=True))


def _measured(bench: Bench, case: Case, rounds: int, shown: Shown, running: Sequence[int]) -> dict[str, Any]:
    """Run all contestants of a case in turn, ``rounds`` times; ``running`` are the processes that serve them."""
    busy, used = machine.busy(), machine.used(*running)
    found: list[Round] = []
    for _ in range(rounds):
        each = {}
        for contestant in case.contestants:
            shown.progress.update(shown.task, description=f"{case.name}: {contestant.name}")
            each[contestant.name] = bench.measure(case, contestant)
            shown.progress.advance(shown.task)
        found.append(each)
    busy, used = machine.busy() - busy, machine.used(*running) - used
    return {
        "at": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "commit": machine.commit(),
        "machine": machine.described(),
        "versions": _versions(case),
        "others": round(max(0.0, 1 - used / busy), 2),
        "records": bench.size(case, case.contestants[0])[1],
        "keys": case.keys,
        "rounds": rounds,
        "figures": report.figures(case, found),
        "gates": report.judged(case, found),
    }


def _versions(case: Case) -> str:
    """Return whose versions were measured."""
    kinds = {one.kind for one in case.contestants}
    found = [f"Python {environments.release()}"]
    for group, packages in environments.PACKAGES.items():
        if group in kinds:
            known = environments.versions(environments.python(group), *packages)
            found.append(f"{group}: {known}")
    if "jvm" in kinds:
        found.append(f"JVM {environments.java()}: {environments.jar_versions()}")
    return "; ".join(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
