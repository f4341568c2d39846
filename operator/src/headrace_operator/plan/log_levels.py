"""Which levels the workers' loggers shall have, and what to set at which worker. Pure.

Kafka Connect has no way back: it sets a level for a logger and all whose names begin with its name, and forgets what
they had. So the levels from the start are recorded before the first is set, read from a worker that nobody changed.
A worker that starts anew has them again, so nothing else is remembered: each pass compares what each worker tells.

Source: KIP-495, KIP-976; `org.apache.kafka.connect.runtime.Loggers`, which lists each logger with the level in force.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.observed.connect import LoggersSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import needs
from headrace_operator.plan.actions import SetLogLevel
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.reasons import Reason

ROOT = "root"
MOST = 200
"""Levels from the start that a status holds."""

Levels = Mapping[str, str]
Seen = Mapping[str, LoggersSeen | Unknown]
"""What each worker tells, by its address."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to set, what to say of it, and the levels from the start to go on with (`status.logLevelsAtStart`)."""

    actions: tuple[SetLogLevel, ...]
    finding: Finding | None
    at_start: Levels


NOTHING = Decision(actions=(), finding=None, at_start={})


def matter(cluster: Resource) -> bool:
    """Tell whether levels are wanted of the workers of ``cluster``, or are to be given back."""
    specs = (cluster.spec, needs.accepted(cluster))
    return any((one.get("workers") or {}).get("logLevels") for one in specs) or bool(
        cluster.status.get("logLevelsAtStart")
    )


def decide(spec: ConnectClusterSpec | None, seen: Seen | Unknown, recorded: Levels) -> Decision:
    """Return what brings each worker to the levels of ``spec``, and the loggers it names no more to those they had."""
    wanted: Levels = (spec.own.log_levels if spec else None) or {}
    if not wanted and not recorded:
        return NOTHING
    if spec is None or isinstance(seen, Unknown) or not seen:
        why = seen.reason if isinstance(seen, Unknown) else "No worker has an address yet."
        return Decision(actions=(), finding=_unknown(why), at_start=recorded)
    told = {url: one for url, one in seen.items() if isinstance(one, LoggersSeen)}
    at_start = _at_start(wanted, recorded, tuple(told.values()))
    targets = {name: _target(name, wanted, at_start) for name in {*wanted, *at_start}}
    actions = tuple(
        SetLogLevel(url=url, logger=name, level=level)
        for url, one in told.items()
        for name, level in _differing(one.levels, targets)
    )
    silent = [one.reason for one in seen.values() if isinstance(one, Unknown)]
    is_done = not silent and not actions
    finding = _finding(wanted, actions, silent, len(seen))
    left = {name: level for name, level in at_start.items() if not is_done or _covering(name, wanted)}
    return Decision(actions=actions, finding=finding, at_start=dict(sorted(left.items())[:MOST]))


def _at_start(wanted: Levels, recorded: Levels, told: tuple[LoggersSeen, ...]) -> Levels:
    """Return the levels from the start of what is wanted, of what is given back, and of what stands out below them.

    A worker that nobody changed tells them; without one it is as recorded, and what is new is as it is now.
    """
    untouched = next((one for one in told if one.untouched), None)
    if untouched is not None:
        named = {name: _level(untouched.levels, name) for name in {*wanted, *recorded}}
        return {**named, **_below(wanted, untouched)}
    if not told:
        return recorded
    new = {name: level for name, level in wanted.items() if not _covering(name, recorded)}
    now = {name: _level(told[0].levels, name) for name in new}
    inherited = {name: recorded[found] for name in wanted if (found := _covering(name, recorded))}
    return {**inherited, **now, **_below(new, told[0]), **recorded}


def _below(names: Levels, seen: LoggersSeen) -> Levels:
    """Return the loggers below ``names`` that have another level than what they would inherit."""
    below = (name for name in sorted(seen.levels) if name != ROOT and _covering(name, names))
    apart = (name for name in below if seen.levels[name] != _level(seen.levels, _parent(name)))
    return {name: seen.levels[name] for name in itertools.islice(apart, MOST)}


def _target(name: str, wanted: Levels, at_start: Levels) -> str:
    covering = _covering(name, wanted)
    return wanted[covering] if covering else at_start[name]


def _covering(name: str, names: Levels) -> str | None:
    """Return the nearest of ``names`` with which Kafka Connect sets this one, too."""
    return max((one for one in names if name.startswith(one)), key=len, default=None)


def _differing(levels: Levels, targets: Levels) -> Iterator[tuple[str, str]]:
    """Yield what to set, in order: each also sets all that begin with its name, which come after it."""
    known = dict(levels)
    for name, level in sorted(targets.items()):
        if _level(known, name) != level:
            yield name, level
            known = {one: level if one.startswith(name) else was for one, was in known.items()} | {name: level}


def _level(levels: Levels, name: str) -> str:
    """Return the level in force of a logger: its own, or that of the nearest above it."""
    while name != ROOT and name not in levels:
        name = _parent(name)
    return levels.get(name, "OFF")


def _parent(name: str) -> str:
    return name.rpartition(".")[0] or ROOT


def _finding(wanted: Levels, actions: tuple[SetLogLevel, ...], silent: list[str], workers: int) -> Finding | None:
    if actions:
        named = sorted({f"{one.logger}={one.level}" for one in actions})
        count = len({one.url for one in actions})
        text = f"{count} of {workers} workers log otherwise and are being set: {', '.join(named)}."
        return false("LogLevelsSet", Reason.LOG_LEVELS_DIFFER, text)
    if silent:
        return _unknown(f"{len(silent)} of {workers} workers do not tell the levels of their loggers: {silent[0]}")
    if not wanted:
        return None
    named = [f"{name}={level}" for name, level in sorted(wanted.items())]
    return true("LogLevelsSet", Reason.LOG_LEVELS_SET, f"All {workers} workers log as asked for: {', '.join(named)}.")


def _unknown(why: str) -> Finding:
    return unknown("LogLevelsSet", Reason.LOG_LEVELS_UNKNOWN, why)
