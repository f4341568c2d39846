"""What an annotation asks of a Connector, as it was written. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.api.operations import LONGEST_ID, OffsetsRequest, SkipRequest
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import debezium, offset_documents
from headrace_operator.plan.offset_documents import Document

RESTART, SKIP = "Restart", "SkipRow"
KEEPS_OFFSETS = frozenset({RESTART, SKIP})
"""What changes no offset, so that none is saved before."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An operation by its id; ``offsets`` are those to set, ``row`` is that to pass by.

    ``problem`` is why what was written cannot be done.
    """

    id: str
    action: str
    offsets: Document | None = None
    row: str | None = None
    problem: str | None = None


def read(resource: Resource, name: str) -> Asked:
    """Return what the annotation called ``name`` asks for; what cannot be read has an id of its own."""
    text = resource.asked[name]
    if name == "restart":
        return Asked(id=text[:LONGEST_ID], action=RESTART)
    try:
        return _skip(text) if name == "skip" else _offsets(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        problem = f"The annotation headrace.dev/{name} cannot be read: {where}: {first['msg']}."
        action = SKIP if name == "skip" else "SetOffsets"
        return Asked(id=hashlib.sha256(text.encode()).hexdigest()[:16], action=action, problem=problem)


def _skip(text: str) -> Asked:
    request = SkipRequest.model_validate_json(text)
    return Asked(id=request.id, action=SKIP, row=request.row)


def _offsets(text: str) -> Asked:
    request = OffsetsRequest.model_validate_json(text)
    if request.action == "reset":
        return Asked(id=request.id, action="ResetOffsets")
    return Asked(id=request.id, action="SetOffsets", offsets=[one.model_dump() for one in request.offsets or ()])


def problem(asked: Asked, resource: Resource, spec: ConnectorSpec) -> str | None:
    """Say why what is asked for is not done to a Connector of this spec."""
    state = spec.state or "Running"
    if asked.problem is not None:
        return asked.problem
    if asked.action == RESTART and state != "Running":
        return f"Nothing was restarted: the Connector is {state}, as its spec says."
    if asked.action == SKIP:
        return _unnamed(asked, resource)
    wrong = asked.offsets and offset_documents.problem(asked.offsets, debezium.prefix(resource, spec))
    return f"The offsets were left as they are: {wrong}." if wrong else None


def _unnamed(asked: Asked, resource: Resource) -> str | None:
    """Say that no failure names the row that is to be passed by: nothing else is ever left out."""
    stands = (resource.status.get("restarts") or {}).get("row")
    if stands is None:
        return "Nothing is passed by: no row of an outbox stands in the way."
    other = f"Nothing is passed by: the row {stands} stands in the way, not {asked.row}."
    return None if asked.row == stands else other
