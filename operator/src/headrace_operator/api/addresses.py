"""How addresses are written in a spec, and where none of them may lead. Pure: patterns that Python and CEL read alike.

Names are judged as they are written: nothing is resolved, as what a name stands for may differ where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+|[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*)(:[0-9]{1,5})?"
_SERVER = rf"([A-Za-z0-9_]+://)?{_NAME}"

PORT = r"^[0-9]{1,5}$"
MISREAD = r"[/?%+\x00-\x1f\x7f]|\$\{"
"""What a database's name may not have: it stands in a URL, and is decoded; and in a configuration."""

_LOCAL = (
    r"169\.254\.|fe[89ab][0-9a-f]:|([0:]*:ffff:|0{0,2}64:ff9b:[0:]*|[0:]+:)(169\.254\.|a9fe:)|fd00:0?ec2:|"
    r"100\.100\.100\.200|(metadata\.google\.internal|metadata\.goog|instance-data\.ec2\.internal)\.?([:/?#, ]|$)"
)
_NUMBER = (
    r"(([0-9]+\.)*0x[0-9a-f]*(\.(0x[0-9a-f]*|[0-9]+))*|[0-9]+(\.[0-9]+){0,2}|([0-9]+\.)*0[0-9]+(\.[0-9]+)*)"
    r"\.?(:[0-9]{1,5})?([/?#, ]|$)"
)
"""An IPv4 address in another form than four decimal numbers, by which it could pass for another."""

LOCAL = (rf"(?i)(^|[, ]|://)\[?({_LOCAL})", rf"(?i)://({_NUMBER})")
"""What in a value leads to something that answers anybody on the node: a link-local address, a cloud's metadata.

Two patterns, as the API server bounds what one may cost.
"""

IS_LOCAL = (
    "link-local addresses and a cloud's metadata are none that Headrace connects to: name a host of your own, and an "
    "IPv4 address as four decimal numbers"
)


@dataclass(frozen=True, kw_only=True)
class Address:
    """How one kind of address is written, what to tell of one that is not, and those that lead where none may."""

    pattern: str
    message: str
    local: str

    def refusal(self, text: str) -> str | None:
        """Say what is wrong with an address, without repeating it; None of one that may be used."""
        if re.search(self.pattern, text) is None:
            return self.message
        return IS_LOCAL if re.search(self.local, text) else None


_HOSTS = rf"(?i)(^|[, ]|://)(\[?({_LOCAL})|{_NUMBER})"
_URL = rf"(?i)^[a-z]+://(\[?({_LOCAL})|{_NUMBER})"
_PLAIN = "write host and port alone, several with commas between"

BROKERS = Address(pattern=rf"^[, ]*{_SERVER}([, ]+{_SERVER})*[, ]*$", message=_PLAIN, local=_HOSTS)
DATABASE = Address(pattern=rf"^{_NAME}( *, *{_NAME})*$", message=_PLAIN, local=_HOSTS)
HOST = Address(
    pattern=r"^([A-Za-z0-9._-]+|[0-9a-fA-F]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*)$",
    message="write one host alone, a name or an address: its port has a field",
    local=_HOSTS,
)
"""The one host of a database whose drivers are given nothing else."""

WEB = Address(
    pattern=r"^https?://([^/?#]*@)?(\[[0-9a-fA-F:.]+\]|[^\[\]/?#@:\s\\%\x00-\x1f]+)(:[0-9]{1,5})?"
    r"([/?#][^\x00-\x1f\x7f]*)?$",
    message="write http://host:port/path or https://host:port/path, without blanks in the host",
    local=_URL,
)
"""The address of a web service. A login is let through here: what is wrong with one is said elsewhere."""

TOKENS = Address(
    pattern=r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?][A-Za-z0-9._~:/?=&%+;-]*)?$",
    message="write https://host:port/path, without a login, blanks, commas and #",
    local=_URL,
)
"""Where tokens come from: an address that stays one in a list, a line of properties or a variable of a pod."""

CONNECT = Address(
    pattern=r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$",
    message="write https://host:port, perhaps with a path, and without a login",
    local=_URL,
)
"""The REST interface of a Kafka Connect, to which paths are added."""

STORE = Address(pattern="^rediss?://", message="write redis://host:port or rediss://host:port", local=_URL)
"""The address of a Redis, whose pattern the field has."""


def local(properties: Mapping[str, str] | None) -> str | None:
    """Return the first name whose value leads where none may."""
    given = (properties or {}).items()
    return next((name for name, value in given if any(re.search(one, value) for one in LOCAL)), None)
