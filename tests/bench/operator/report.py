"""What the runs gave, as figures for machines (`results.json`) and as a page for people (`RESULTS.md`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RESULTS, PAGE = FOLDER / "results.json", FOLDER / "RESULTS.md"
SHARED = 0.05
"""Share of the machine's processors that others may use before a run is said to be beside others."""

HEAD = """# How much one operator looks after

Written by `make bench-operator`; do not edit. API server and etcd are real and run on the same machine, as do the fakes
of Kafka and of ten Kafka Connects. Each Consumer has 12 partitions of its source; nothing happens on them but the
heartbeats that move each Connector's offsets every 10 s, and every Deployment is ready at once. `cores` and `MiB`
(resident, at most) are those of the operator itself, in which the fake of Kafka is, and the real client is not; its
metrics page is read every 30 s. `writes` are what the API server counted, save those of Leases and its own.
"""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A bound of one figure."""

    figure: str
    bound: float
    at_least: bool = False


CROWD = (
    Gate(figure="settled s", bound=300),
    Gate(figure="cores", bound=0.5),
    Gate(figure="MiB", bound=400),
    Gate(figure="writes", bound=0),
    Gate(figure="looks within 15 s, share", bound=0.99, at_least=True),
    Gate(figure="times the Lease was lost", bound=0),
    Gate(figure="failed passes", bound=0),
)
KILLS = (Gate(figure="s, at most", bound=15),)


def judged(gates: Sequence[Gate], figures: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return what became of each gate."""
    return [
        {
            "name": gate.figure,
            "bound": gate.bound,
            "at_least": gate.at_least,
            "value": figures[gate.figure],
            "holds": figures[gate.figure] >= gate.bound if gate.at_least else figures[gate.figure] <= gate.bound,
        }
        for gate in gates
    ]


def write(told: Mapping[str, Any]) -> None:
    """Put one run in the place of the last one of the same title."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    merged = dict(sorted({**known, told["title"]: told}.items(), key=lambda item: item[1]["order"]))
    RESULTS.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text("\n".join([HEAD, *map(text, merged.values())]))


def text(told: Mapping[str, Any]) -> str:
    """Return one run's section."""
    share = told["others"]
    beside = f" Others used {share:.0%} of the processors: **not alone on the machine**." if share > SHARED else ""
    lines = [f"## {told['title']}\n", f"{told['at']}, commit {told['commit']}, {told['machine']}.{beside}\n"]
    bounds = {gate["name"]: gate for gate in told["gates"]}
    lines += ["| figure | value | bound | |", "|---|---|---|---|"]
    for name, value in told["figures"].items():
        lines.append(f"| {name} | {value:,g} | {_verdict(bounds.get(name))} |")
    return "\n".join([*lines, ""])


def _verdict(gate: Mapping[str, Any] | None) -> str:
    if gate is None:
        return "| "
    return f"{'≥' if gate['at_least'] else '≤'} {gate['bound']:g} | {'holds' if gate['holds'] else '**does not hold**'}"
