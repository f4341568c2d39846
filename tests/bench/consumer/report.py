"""What the runs gave, as figures for machines (`results.json`) and as a page for people (`RESULTS.md`)."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.consumer.cases import CASES, CPU, HALF, MOST, PARKED, RATE, RSS, Case, Gate, Round

FOLDER = Path(__file__).parent
RESULTS, PAGE = FOLDER / "results.json", FOLDER / "RESULTS.md"
COLUMNS = (RATE, CPU, HALF, MOST, RSS, PARKED)
SHARED = 0.05
"""Share of the machine's processors that others may use before a run is said to be beside others."""

HEAD = """# Headrace beside its peers

Written by `make bench-consumer`; do not edit. Broker, contestant and the server that is pushed to share one machine.
All contestants of a case run in turn, round after round; each figure is the median of the rounds, lowest and highest in
brackets, and a gate is judged by the median of the rounds' ratios. In every run all records are seen to be handled, and
in order where the contestant keeps it; of Headrace also the committed offsets. CPU is that of the contestant's process,
from its first record to its last.
"""


def judged(case: Case, rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Return what became of each gate; one of what does not exist holds neither way."""
    return [_judged(gate, rounds) for gate in case.gates]


def _judged(gate: Gate, rounds: Sequence[Round]) -> dict[str, Any]:
    value = None if gate.lacks else round(statistics.median(map(gate.figure, rounds)), 3)
    holds = None if value is None else value >= gate.bound if gate.at_least else value <= gate.bound
    told = {"name": gate.name, "kind": "aim" if gate.is_aim else "must", "value": value, "bound": gate.bound}
    return {**told, "at_least": gate.at_least, "holds": holds, **({"lacks": gate.lacks} if gate.lacks else {})}


def figures(case: Case, rounds: Sequence[Round]) -> dict[str, dict[str, list[float]]]:
    """Return lowest, median and highest of each figure of each contestant."""
    return {
        one.name: {
            name: [round(of(values), 1) for of in (min, statistics.median, max)]
            for name in COLUMNS
            if (values := [each[one.name][name] for each in rounds if name in each[one.name]])
        }
        for one in case.contestants
    }


def write(new: Mapping[str, Any]) -> None:
    """Put the results of some cases in the place of those from before."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    merged = {case.name: {**known, **new}[case.name] for case in CASES if case.name in {**known, **new}}
    RESULTS.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text("\n".join([HEAD, *(_section(case, merged[case.name]) for case in CASES if case.name in merged)]))


def text(case: Case, told: Mapping[str, Any]) -> str:
    """Return one case's tables."""
    return _section(case, told)


def _section(case: Case, told: Mapping[str, Any]) -> str:
    return "\n".join(
        [f"## {case.title}\n", _conditions(told), *_contestants(told["figures"]), "", *_gates(told["gates"]), ""]
    )


def _conditions(told: Mapping[str, Any]) -> str:
    share = told["others"]
    beside = (
        f"Others used {share:.0%} of the processors meanwhile: **not alone on the machine**." if share > SHARED else ""
    )
    size = f"{told['records']:,} records of 200 bytes, {told['keys']:,} keys, 6 partitions" if told["records"] else ""
    when = f"{told['at']}, commit {told['commit']}, {told['machine']}, {told['rounds']} rounds."
    return "\n\n".join(
        part for part in (f"{size + '. ' if size else ''}{when} {beside}", told["versions"] + ".\n") if part
    )


def _contestants(found: Mapping[str, Mapping[str, list[float]]]) -> list[str]:
    columns = [name for name in COLUMNS if any(name in values for values in found.values())]
    lines = ["| contestant | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for contestant, values in found.items():
        cells = [_cell(values[name]) if name in values else "" for name in columns]
        lines.append(f"| {contestant} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: list[float]) -> str:
    low, median, high = (f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in values)
    return f"{median} ({low} to {high})"


def _gates(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| gate | value | bound | |", "|---|---|---|---|"]
    for gate in gates:
        value = "" if gate["value"] is None else f"{gate['value']:,.2f}"
        bound = f"{'≥' if gate['at_least'] else '≤'} {gate['bound']:g}"
        lines.append(f"| {gate['kind']}: {gate['name']} | {value} | {bound} | {_verdict(gate)} |")
    return lines


def _verdict(gate: Mapping[str, Any]) -> str:
    if gate["holds"] is None:
        return f"not had: {gate['lacks']} do not exist yet"
    return "holds" if gate["holds"] else "**does not hold**"
