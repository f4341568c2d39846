"""What is known of a Connector's database: whether there is an agent to tell, and what it could not see.

The agent judges nothing; which fact is a fault, and what mends it, is said here and in the files beside this one
(`preparation`, `slots`, `streaming`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.source import Cause, Seen, SourceSeen, Unseen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan.conditions import Finding, false, unknown
from headrace_operator.plan.reasons import Reason

TYPE = "SourceReady"
Source = SourceSeen | Absent | Unknown

UNDECLARED = (
    "The source agent does not look at this database yet. It never does where the login is not from spec.postgres, "
    "the host has a port of its own, or sslmode is no word of the driver's."
)
AWAY: frozenset[Cause] = frozenset({"HostUnknown", "NotReached"})
PENDING: frozenset[Cause] = frozenset({"NotLooked", "SecretMissing"})

Value = TypeVar("Value")


def is_on(cluster: Resource) -> bool:
    """Tell whether the accepted spec of a ConnectCluster asks for an agent."""
    accepted = (cluster.status.get("accepted") or {}).get("spec") or {}
    return _has_agent(accepted)


def is_written(cluster: Resource) -> bool:
    """Tell whether the spec of a ConnectCluster as written asks for an agent."""
    return _has_agent(cluster.spec)


def _has_agent(spec: Mapping[str, Any]) -> bool:
    agent = spec.get("agent")
    return isinstance(agent, Mapping) and bool(agent.get("enabled"))


def off(cluster: Resource) -> str:
    """Say that nobody looks at databases, and what changes that."""
    return f"ConnectCluster {cluster.name} has no source agent: set its spec.agent.enabled to true."


def value(fact: Seen[Value] | Unseen) -> Value | None:
    """Return what was seen, None where it was not."""
    return fact.value if isinstance(fact, Seen) else None


def unseen(source: Source) -> str | None:
    """Say why nothing is known of a database; None when the agent is logged in to it."""
    match source:
        case Unknown(reason=reason):
            return reason
        case Absent():
            return UNDECLARED
        case _:
            return source.login.why if isinstance(source.login, Unseen) else None


def login(source: Source, spec: ConnectorSpec) -> Finding | None:
    """Say why the agent is not logged in to the database; None when it is."""
    sentence = unseen(source)
    if sentence is None:
        return None
    cause = source.login.cause if isinstance(source, SourceSeen) and isinstance(source.login, Unseen) else None
    where, secret = f"{spec.postgres.host}:{spec.postgres.port or 5432}", spec.postgres.credentials.secret
    if cause is None or cause in PENDING:
        return unknown(TYPE, Reason.UNKNOWN, sentence)
    if cause in AWAY:
        text = f"The database at {where} is away: {sentence} It is asked again every ten seconds."
        return false(TYPE, Reason.SOURCE_UNREACHABLE, text)
    if cause == "LoginRefused":
        text = f"The database at {where} refuses the login of Secret {secret}: {sentence} Mend the Secret, or the role."
        return false(TYPE, Reason.LOGIN_REFUSED, text)
    return false(TYPE, Reason.SOURCE_REFUSES, f"The database at {where} cannot be used: {sentence}")
