"""Where a Secret may be sent: what its annotation says, and which address of a spec is not among it. Pure.

The annotation is the owner's of the Secret: ``host``, ``host:port``, or ``*.domain`` for all below one, with commas or
blanks between. Without it a Secret may go anywhere, with an empty one nowhere. Names are compared as they are written:
nothing is resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from headrace_operator.api.schema import GROUP

ANNOTATION = f"{GROUP}/hosts"

_ADDRESS = re.compile(
    r"(?:[A-Za-z0-9_]+://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)(?::([0-9]+))?/?\d*"
)
"""A host, which may be an IPv6 address, with its protocol, its port, and the number of a database behind."""


def read(annotations: Mapping[str, str] | None) -> tuple[str, ...] | None:
    """Return where a Secret with these annotations may be sent; None is anywhere."""
    said = (annotations or {}).get(ANNOTATION)
    return None if said is None else tuple(re.split(r"[\s,]+", said.strip(", \t\n"))) if said.strip(", \t\n") else ()


def outside(addresses: Iterable[str], allowed: tuple[str, ...] | None) -> str | None:
    """Return the first of ``addresses`` that is not ``allowed``: each is one, or several with commas between."""
    if allowed is None:
        return None
    every = (one.strip() for several in addresses for one in several.split(","))
    return next((one for one in every if not any(_is_within(one, host) for host in allowed)), None)


def refusal(secret: str, addresses: Iterable[str], allowed: tuple[str, ...] | None) -> str | None:
    """Say that ``secret`` would be sent where it may not; None where it may."""
    if (elsewhere := outside(addresses, allowed)) is None:
        return None
    told = f"to {', '.join(allowed)} only" if allowed else "nowhere"
    return (
        f"Secret {secret} may be sent {told} (its annotation {ANNOTATION}), and not to {elsewhere or 'no host'}: "
        "name another Secret or address, or have its owner add this one."
    )


def _is_within(address: str, allowed: str) -> bool:
    found, wanted = _parts(address), _parts(allowed.removeprefix("*."))
    if found is None or wanted is None or (wanted[1] and wanted[1] != found[1]):
        return False
    return found[0].endswith(f".{wanted[0]}") if allowed.startswith("*.") else found[0] == wanted[0]


def _parts(address: str) -> tuple[str, str] | None:
    """Return host and port, which may be empty; None for what is no plain address."""
    found = _ADDRESS.fullmatch(address)
    return None if found is None else (found[1].strip("[]").rstrip(".").lower(), found[2] or "")
