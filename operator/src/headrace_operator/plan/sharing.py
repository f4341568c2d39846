"""Which of two Connectors may have a slot or a publication that both name: one has it, the other is refused.

A slot hands each change to one reader, and a publication that follows one Connector's tables loses the other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import debezium, names
from headrace_operator.plan.conditions import Finding, false
from headrace_operator.plan.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A slot of a server, or a publication of a database; ``field`` is where the spec names it."""

    field: str
    name: str
    place: str


def taken(resource: Resource, spec: ConnectorSpec, others: Iterable[Resource]) -> Finding | None:
    """Say which of ``others`` has what this Connector's spec names: it was accepted with that, or is older."""
    rivals = [other for other in others if other.uid != resource.uid]
    for thing in _things(resource, spec) if rivals else ():
        mine = _claim(resource, thing)
        first = min(
            (rival for rival in rivals if _claim(rival, thing) < mine), key=lambda one: _claim(one, thing), default=None
        )
        if first is not None:
            text = (
                f"spec.postgres.{thing.field} {thing.name} of {thing.place} is that of Connector "
                f"{first.namespace}/{first.name}, and two cannot share it: name another, or remove the field."
            )
            return false("Accepted", Reason.NAME_TAKEN, text)
    return None


def _things(resource: Resource, spec: ConnectorSpec) -> Iterator[Thing]:
    config = debezium.configuration(resource, spec)
    server = f"{config['database.hostname'].lower()}:{config['database.port']}"
    yield Thing(field="slot", name=config["slot.name"], place=server)
    yield Thing(field="publication", name=config["publication.name"], place=f"{server}/{config['database.dbname']}")


def _claim(resource: Resource, thing: Thing) -> tuple[int, bool, str, str]:
    """Return how good a claim is, the lowest being the best: a name made for it, one it was accepted with, its age."""
    accepted = (resource.status.get("accepted") or {}).get("spec")
    held, wanted = _holds(resource, accepted, thing), _holds(resource, resource.spec, thing)
    if not held and not wanted:
        return NONE
    own = thing.name == names.slot(resource.place, resource.name)
    return 0 if own else 1 if held else 2, resource.created is None, resource.created or "", resource.uid


NONE = (3, True, "", "")
"""The claim of one that does not name the thing at all."""


def _holds(resource: Resource, spec: Mapping[str, Any] | None, thing: Thing) -> bool:
    if not spec:
        return False
    with suppress(ValidationError):
        return thing in _things(resource, ConnectorSpec.model_validate(dict(spec)))
    return False
