"""What Kafka Connect tells, as what was seen: bounded in length, and in lines that no terminal obeys.

Others may run it, and whoever reaches it names connectors there. What is no text where text is expected is not
understood: it is an error, as an answer of another shape is. Configurations and offsets are kept as they are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from headrace import printable
from headrace.discreet import discreet
from headrace_operator.clients import errors
from headrace_operator.clients.connect_bounds import LONGEST, LONGEST_NAME, LONGEST_SENTENCE, LONGEST_TRACE
from headrace_operator.observed.connect import (
    ConnectorSeen,
    FieldError,
    LoggersSeen,
    PluginSeen,
    TaskSeen,
    Validation,
    WorkersSeen,
)

UNTOLD: Mapping[str, Any] = {"connector": {"state": "UNASSIGNED"}}
"""The status of a connector that no worker has taken up yet: Connect has its configuration and says 404."""

END = " for configuration "
"""What follows a value that Kafka Connect quotes."""


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Take an answer of another shape than Kafka Connect's for no answer."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = f"{what}: the answer is not one of Kafka Connect ({error!r}). Check the address."
        raise errors.Unreachable(text) from error


def workers(told: Any, plugins: Any, connectors: Mapping[str, ConnectorSeen]) -> WorkersSeen:
    """Return the workers that tell this of themselves and of their plug-ins."""
    return WorkersSeen(
        version=_name(told["version"]),
        kafka_cluster_id=_name(told["kafka_cluster_id"]),
        plugins=tuple(
            PluginSeen(class_name=_name(one["class"]), version=_name(str(one.get("version"))), type=_name(one["type"]))
            for one in plugins
        ),
        connectors=connectors,
    )


def connectors(expanded: Any) -> Mapping[str, ConnectorSeen]:
    """Return the connectors of a list by name; one that is not understood is at no other's cost."""
    seen = (_listed(name, one) for name, one in expanded.items())
    return {one.name: one for one in seen if one is not None}


def connector(name: str, config: Mapping[str, str], status: Mapping[str, Any]) -> ConnectorSeen:
    """Return a connector without its figures."""
    return ConnectorSeen(
        name=name,
        config={field: _text(value, LONGEST) for field, value in config.items() if value is not None},
        state=_name(status["connector"]["state"]),
        trace=_trace(status["connector"]),
        tasks=tuple(_task(one) for one in status.get("tasks", ())),
    )


def figures(name: str, offsets: Any, topics: Any) -> dict[str, Any]:
    """Return what Connect told of offsets and topics, None where it did not."""
    told = None if topics is None else topics.get(name, {}).get("topics", ())
    return {
        "offsets": None if offsets is None else tuple(map(dict, offsets["offsets"])),
        "topics": None if told is None else tuple(sorted(map(_name, told))),
    }


def loggers(told: Mapping[str, Any]) -> LoggersSeen:
    """Return the loggers of a worker; of one before 3.7 nobody knows whether any was changed."""
    return LoggersSeen(
        levels={_name(name): _name(one["level"]) for name, one in told.items()},
        untouched=all(one.get("last_modified", 0) is None for one in told.values()),
    )


def validation(said: Any) -> Validation:
    """Return what Connect has against a configuration."""
    values = [one["value"] for one in said["configs"] if one["value"] is not None]
    return Validation(
        errors=tuple(
            FieldError(field=_name(one["name"]), message=printable.brief(words(text), LONGEST_SENTENCE))
            for one in values
            for text in one["errors"]
        )
    )


def words(said: str) -> str:
    """Return what Connect said without the values that it quotes: those of Secrets are among them.

    Each expression finds its end, or is not begun: texts are as long as whoever answers likes.
    """
    quoted, end, rest = said.rpartition(END)
    said = re.sub(rf"Invalid value .*?{END}", f"Invalid value{END}", quoted + end, flags=re.DOTALL) + rest
    said = re.sub(r'\b(user|role) "[^"]*"', r'\1 "…"', said)
    return discreet(re.sub(r"(?<!\$)\{.*", _braces, said))


def _braces(found: re.Match[str]) -> str:
    """Leave out what stands in braces, up to the last one of a line."""
    _, brace, rest = found[0].rpartition("}")
    return f"{{…}}{rest}" if brace else found[0]


def _listed(name: str, one: Any) -> ConnectorSeen | None:
    try:
        return connector(_name(name), one["info"]["config"], one["status"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _task(one: Mapping[str, Any]) -> TaskSeen:
    worker = one.get("worker_id")
    return TaskSeen(
        id=int(one["id"]),
        state=_name(one["state"]),
        worker=None if worker is None else _name(worker),
        trace=_trace(one),
    )


def _name(value: object) -> str:
    """Return what a status can hold, with what a terminal would obey escaped."""
    return printable.line(_text(value, LONGEST_NAME))


def _text(value: object, longest: int) -> str:
    """Return ``value``; raises ``TypeError`` for anything but text, ``ValueError`` for more bytes than that."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text was expected")
    if len(value.encode(errors="replace")) > longest:
        raise ValueError(f"{len(value)} characters where {longest} were expected at most")
    return value


def _trace(part: Mapping[str, Any]) -> str | None:
    """Return a trace with its first words and its root cause, which comes last."""
    if part.get("trace") is None:
        return None
    told, half = words(part["trace"]), LONGEST_TRACE // 2
    return told if len(told) <= LONGEST_TRACE else f"{told[:half]}\n{told[-half:]}"
