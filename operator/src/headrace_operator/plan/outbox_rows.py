"""Rows of an outbox that cannot become records: which one a failure names, and which are passed by. Pure.

A row has its id for a name, as URLs write it: so no id is more than one word, nor more than one entry of a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import Reference
from headrace_operator.plan import record_sizes

WORDS = r"The outbox row with id (\S+) cannot become a record"
"""How the router of the workers' image names one."""

MOST = 100
"""Rows that are passed by at a time; those that were longest ago are forgotten first."""


def named(told: str | None) -> str | None:
    """Return the row that a failure names; None where it names none."""
    found = re.search(WORDS, told or "")
    return found[1] if found else None


def skipped(resource: Resource) -> tuple[str, ...]:
    """Return the rows of a Connector that are passed by, in the order in which that was asked for."""
    return tuple(((resource.status.get("operations") or {}).get("skip") or {}).get("rows") or ())


def also(before: tuple[str, ...], row: str) -> tuple[str, ...]:
    """Return the rows that are passed by once ``row`` is, too."""
    return (*(one for one in before if one != row), row)[-MOST:]


def bound(spec: ConnectorSpec, cluster: Reference | None) -> Mapping[str, str]:
    """Return the property by which a row that the producer would refuse is named."""
    largest = record_sizes.most(spec, cluster) if spec.capture.outbox else None
    return {} if largest is None else {"transforms.outbox.largest.bytes": largest}


def passed_by(rows: tuple[str, ...]) -> dict[str, str]:
    """Return the property that has rows passed by."""
    return {"transforms.outbox.skipped.rows": ",".join(rows)} if rows else {}
