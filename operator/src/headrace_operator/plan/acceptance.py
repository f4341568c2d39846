"""Which spec is in force: the one that was written, or the last accepted one while a bad edit stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from headrace_operator.api import addresses, hosts
from headrace_operator.api import properties as raw
from headrace_operator.api.addresses import Address
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import Model
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.observed.world import Secrets
from headrace_operator.plan.conditions import Finding, false, true
from headrace_operator.plan.reasons import Reason

Spec = TypeVar("Spec", bound=Model)
Check = Callable[[Any], Finding | None]


@dataclass(frozen=True, kw_only=True)
class Acceptance(Generic[Spec]):
    """The spec in force, what was accepted as JSON, and what is wrong with the edit.

    No spec is in force when none ever was accepted, or when this version cannot read the accepted one: what runs by it
    is then left as it is.
    """

    spec: Spec | None
    accepted: Mapping[str, Any] | None
    problem: Finding | None

    @property
    def finding(self) -> Finding:
        """Return the condition `Accepted`."""
        return self.problem or true("Accepted", Reason.ACCEPTED, "The spec is accepted.")

    @property
    def stalled(self) -> Finding | None:
        """Return the condition `Stalled` while the spec as written is refused."""
        if self.problem is None:
            return None
        return true("Stalled", self.problem.reason, self.problem.message)


def judge(model: type[Spec], resource: Resource, *checks: Check) -> Acceptance[Spec]:
    """Accept the spec of `resource`, or fall back to its last accepted one and say which field is wrong."""
    if misnamed := _misnamed(resource):
        return refuse(model, resource, misnamed)
    try:
        spec = model.model_validate(dict(resource.spec))
    except ValidationError as error:
        return refuse(model, resource, false("Accepted", Reason.INVALID, _sentence(error)))
    problem = next((found for check in checks if (found := check(spec))), None)
    if problem:
        return refuse(model, resource, problem)
    accepted = {"generation": resource.generation, "spec": dict(resource.spec)}
    return Acceptance(spec=spec, accepted=accepted, problem=None)


def refuse(model: type[Spec], resource: Resource, problem: Finding) -> Acceptance[Spec]:
    """Keep the last accepted spec in force, because of `problem` with the one that was written.

    It stays on record also where another version of Headrace accepted it, and this one cannot read it.
    """
    accepted = recorded(resource)
    if accepted is None:
        return Acceptance(spec=None, accepted=None, problem=problem)
    try:
        spec = model.model_validate(dict(accepted["spec"]))
    except ValidationError as error:
        return Acceptance(spec=None, accepted=accepted, problem=_unread(problem, _sentence(error)))
    return Acceptance(spec=spec, accepted=accepted, problem=problem)


def recorded(resource: Resource) -> Mapping[str, Any] | None:
    """Return what was accepted last, as `status.accepted` says, whether this version can read its spec or not."""
    accepted = resource.status.get("accepted") or {}
    return accepted if isinstance(accepted.get("spec"), Mapping) and accepted["spec"] else None


def no_passwords(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property holds a password: no secret may stand in a spec."""
    why = "would hold a password in plain text: name a Secret with credentials instead."
    return _refused(field, raw.in_plain_text(properties), why, Reason.PASSWORD_IN_CONFIG)


def no_stray_references(
    field: str, properties: Mapping[str, str] | None, allowed: Collection[str], namespace: str
) -> Finding | None:
    """Say which raw property would show a Secret's value: others quote what they are given in errors and logs."""
    why = (
        f"may name no Secret so: only {', '.join(allowed)} may, each as ${{secrets:{namespace}/NAME:KEY}} and nothing "
        "else; what another stands for would be shown."
    )
    return _refused(field, raw.stray(properties, allowed, namespace), why, Reason.PASSWORD_IN_CONFIG)


def only_to_hosts(names: Iterable[str], seen: Secrets, addresses: Collection[str]) -> Finding | None:
    """Say which of the Secrets called ``names`` may not be sent to one of ``addresses``; those not seen say nothing."""
    found = (one for name in names if isinstance(one := seen.get(name), SecretSeen))
    refused = next((text for one in found if (text := hosts.refusal(one.name, addresses, one.hosts))), None)
    return None if refused is None else false("Accepted", Reason.HOST_NOT_ALLOWED, refused)


def bounded(seen: Secrets) -> bool:
    """Tell whether any Secret may be sent to some hosts only."""
    return any(isinstance(one, SecretSeen) and one.hosts is not None for one in seen.values())


def unbounded(field: str, names: Iterable[str], seen: Secrets) -> Finding | None:
    """Say which of the Secrets called ``names`` may be sent to some hosts only, and would be given to any code."""
    found = (one for name in names if isinstance(one := seen.get(name), SecretSeen) and one.hosts is not None)
    if (first := next(found, None)) is None:
        return None
    text = (
        f"spec.{field} would give Secret {first.name} to code that may send it anywhere, and its annotation "
        f"{hosts.ANNOTATION} says where it may go: name another Secret, or have its owner remove the annotation."
    )
    return false("Accepted", Reason.HOST_NOT_ALLOWED, text)


def in_force_within(judged: Acceptance[Spec], check: Callable[[Spec], Finding | None]) -> Acceptance[Spec]:
    """Take out of force an accepted spec that fails ``check`` now, though it did not before; it stays on record.

    A spec without a problem has just been judged by ``check``.
    """
    if judged.spec is None or judged.problem is None or check(judged.spec) is None:
        return judged
    return replace(judged, spec=None)


def no_login(field: str, value: str | None, pattern: str) -> Finding | None:
    """Say that ``value`` holds a login: ``pattern`` is found in it."""
    if value is None or re.search(pattern, value) is None:
        return None
    text = f"spec.{field} would hold a login in plain text: remove the part before the @."
    return false("Accepted", Reason.PASSWORD_IN_CONFIG, text)


def address(field: str, value: str | None, kind: Address) -> Finding | None:
    """Say that ``value`` is no address of its kind, or leads where none may."""
    why = None if value is None else kind.refusal(value)
    return None if why is None else false("Accepted", Reason.INVALID, f"spec.{field}: {why}.")


def nowhere_local(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property leads to a link-local address or to a cloud's metadata."""
    return _refused(field, addresses.local(properties), f"leads where none may: {addresses.IS_LOCAL}.")


def no_code(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property would load a class of any kind, open a file, or run a script."""
    why = "would load a class, open a file or run a script: remove it. What runs in workers is what their image has."
    return _refused(field, raw.named(properties, raw.CODE), why)


def no_login_in_image(field: str, value: str | None) -> Finding | None:
    """Say that an image is written with a login."""
    return None if value is None or re.fullmatch(raw.IMAGE, value) else no_login(field, value, "@")


def only_tuning(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property of a Kafka client does more than tune it."""
    why = (
        "is not among the properties that only tune the Kafka client: remove it. "
        "Where Kafka is and how to log in is said by bootstrapServers, tls and sasl."
    )
    return _refused(field, raw.foreign(properties), why)


def no_identity(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property of a connector Headrace sets itself, from a field that stays once it was accepted."""
    why = (
        "is set by Headrace: remove it. Database, slot, prefix of topics, and what goes with a Connector have fields: "
        "postgres.database, postgres.slot, topics.prefix and onDelete."
    )
    return _refused(field, raw.identity(properties), why)


def none_of_one(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property of a default is a matter of each connector."""
    why = "is said by each Connector itself (its database, login, SQL, publication and tables): remove it."
    return _refused(field, raw.named(properties, raw.OF_ONE), why)


def no_references(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property of a default names a Secret, which only a Connector may."""
    why = "names a Secret, which no default may: name it in the Connector."
    return _refused(field, raw.stray(properties, (), ""), why, Reason.PASSWORD_IN_CONFIG)


def no_kafka(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property of a connector would take the workers' login to another Kafka."""
    why = "is said by the KafkaConnection alone (where Kafka is, how it is verified, how to log in): remove it."
    return _refused(field, raw.named(properties, raw.KAFKA), why)


def not_the_workers(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property of workers Headrace sets itself: their Kafka and login, and what others reach them by."""
    why = (
        "is set by Headrace: remove it. Where Kafka is and how to log in is said by the "
        "KafkaConnection; group, topics, listeners and plug-ins of the workers are fixed."
    )
    return _refused(field, raw.named(properties, raw.WORKERS), why)


def plain_lines(field: str, properties: Mapping[str, str] | None) -> Finding | None:
    """Say which raw property would be more than one line of a file, or another line than it seems."""
    if (name := raw.named(properties, raw.ODD)) is not None:
        text = f"spec.{field} has the name {name!r}: a name is letters, digits, dots, hyphens and underscores."
        return false("Accepted", Reason.PROPERTY_NOT_ALLOWED, text)
    why = "has a line break or another control character: write its value in one line."
    return _refused(field, raw.broken(properties), why)


def _unread(problem: Finding, why: str) -> Finding:
    """Say that the accepted spec is none of this version's either, so that nothing is changed until it is mended."""
    same = "" if why == problem.message else f" ({why.rstrip('.')})"
    text = (
        f"{problem.message.rstrip('.')}. What was accepted before is not valid in this version of Headrace{same}: "
        "it is kept, and what runs by it is left as it is, until the spec is mended."
    )
    return replace(problem, message=text)


def _misnamed(resource: Resource) -> Finding | None:
    """Say what is wrong with a name, unless something was made after it already."""
    naming = next(kind.naming for kind in KINDS if kind.name == resource.kind)
    if resource.status.get("accepted") or re.match(naming.pattern, resource.name):
        return None
    return false("Accepted", Reason.INVALID, f"metadata.name: {naming.message}; delete it, and make it anew so.")


def _refused(field: str, name: str | None, why: str, reason: Reason = Reason.PROPERTY_NOT_ALLOWED) -> Finding | None:
    return None if name is None else false("Accepted", reason, f"spec.{field}.{name} {why}")


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"spec.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}."
