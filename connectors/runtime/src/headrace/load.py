"""How busy a pod is, as it tells it with a commit: the contract's way back, for the autoscaler and for conditions.

In the metadata it is words such as ``pod=billing-x end=1795863600 window=5003 busy=375 handled=1234``, and more where
there is more to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Circuit = Literal["closed", "throttled", "open"]
"""Whether the target takes records, fewer at once than it may be given, or none."""

NUMBERS = ("end", "window", "busy", "handled", "parked", "since")
POD, CAUSE = re.compile(r"[A-Za-z0-9._-]{1,63}"), re.compile(r"[A-Za-z0-9._]{0,80}")

FULL = 1000
"""What `LoadReport.busy` is while all concurrency is in use."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """What ``pod`` did in the ``window`` (milliseconds) until ``end`` (seconds since 1970).

    ``busy`` thousandths of its concurrency were in use, and ``handled`` records were finished; ``parked`` keys go
    through the retry topic. The target has failed ``since`` then where the circuit is open, by this ``cause``: the name
    of an exception, empty when there is none to tell. After an ``idle`` report none comes until there is work again.
    """

    pod: str
    end: int
    window: int
    busy: int
    handled: int
    parked: int = 0
    circuit: Circuit = "closed"
    since: int = 0
    cause: str = ""
    idle: bool = False


def words(report: LoadReport) -> list[str]:
    """Return what metadata has of a report: at most 300 characters together."""
    numbers = {name: getattr(report, name) for name in NUMBERS}
    told = [f"{name}={number}" for name, number in numbers.items() if number or name not in ("parked", "since")]
    state = [f"circuit={report.circuit}"] if report.circuit != "closed" else []
    cause = [f"cause={report.cause}"] if report.cause and CAUSE.fullmatch(report.cause) else []
    return [f"pod={report.pod}", *told, *state, *cause, *(["idle=1"] if report.idle else [])]


def report(said: Mapping[str, str]) -> LoadReport | None:
    """Return what metadata says, by the names of its words; None where it tells no report, or none that we know."""
    pod, circuit, cause = said.get("pod", ""), said.get("circuit", "closed"), said.get("cause", "")
    numbers = {name: said.get(name, "0") for name in NUMBERS}
    if not POD.fullmatch(pod) or not all(re.fullmatch(r"[0-9]{1,19}", number) for number in numbers.values()):
        return None
    state = next((one for one in get_args(Circuit) if one == circuit), None)
    if state is None:
        return None
    counts = {name: int(number) for name, number in numbers.items()}
    known = cause if CAUSE.fullmatch(cause) else ""
    return LoadReport(pod=pod, **counts, circuit=state, cause=known, idle=said.get("idle") == "1")
