"""Secrets that pods are given: which of them was not seen, so that nothing is made that would wait for it unsaid."""

from __future__ import annotations

from collections.abc import Iterable

from headrace_operator.observed.kube import SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import Secrets
from headrace_operator.plan.conditions import Finding, false, unknown
from headrace_operator.plan.reasons import Reason

TYPE = "Deployed"


def unseen(keys: Iterable[tuple[str, str]], seen: Secrets, mend: str) -> Finding | None:
    """Say which Secret was not seen, or lacks a key, of pairs of both; ``mend`` is what to do about a missing key."""
    for name, key in keys:
        found = seen.get(name, Absent())
        if not isinstance(found, SecretSeen):
            return _missing(name, found)
        if key not in found.keys:
            return false(TYPE, Reason.SECRET_KEY_MISSING, f"Secret {name} has no key {key}: {mend}.")
    return None


def _missing(name: str, found: Absent | Unknown) -> Finding:
    """Say that a Secret was not seen."""
    if isinstance(found, Unknown):
        return unknown(TYPE, Reason.UNKNOWN, found.reason)
    text = f"Secret {name} does not exist in this namespace: create it, or name another."
    return false(TYPE, Reason.SECRET_NOT_FOUND, text)
