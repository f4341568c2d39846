"""The CEL rules of addresses, and of raw properties by which one or a class would be smuggled in."""

from __future__ import annotations

from headrace_operator.api import addresses
from headrace_operator.api.addresses import Address
from headrace_operator.api.properties import CODE, LOGIN_OF_URL, QUOTED
from headrace_operator.api.schema import Rule


def _rules(address: Address) -> tuple[Rule, Rule]:
    return (
        Rule(rule=f"self.matches(r'{address.pattern}')", message=address.message),
        Rule(rule=f"!self.matches(r'{address.local}')", message=addresses.IS_LOCAL),
    )


NO_LOGIN = Rule(
    rule=f"!self.matches(r'{LOGIN_OF_URL}')",
    message="a login would stand here in plain text: write the address without the part before the @",
)
NO_LOGIN_AT_ALL = Rule(
    rule="!self.contains('@')",
    message="a login would stand here in plain text: write host and port, and name a Secret with credentials",
)
OF_BROKERS, OF_DATABASE, OF_HOST, OF_WEB, OF_TOKENS, OF_CONNECT = map(
    _rules,
    (addresses.BROKERS, addresses.DATABASE, addresses.HOST, addresses.WEB, addresses.TOKENS, addresses.CONNECT),
)
OF_STORE = _rules(addresses.STORE)[1:]
NOWHERE_LOCAL = tuple(
    Rule(rule=f"self.all(key, !self[key].matches(r'{one}'))", message=addresses.IS_LOCAL) for one in addresses.LOCAL
)
A_DATABASE = Rule(
    rule=f"!self.matches(r'{addresses.MISREAD}')",
    message="the driver reads a name with /, ?, %, + or ${ as another: rename the database",
)
ITS_DATABASE = Rule(
    rule=f"(!('database.hostname' in self) || self['database.hostname'].matches(r'{addresses.DATABASE.pattern}')) "
    f"&& (!('database.port' in self) || self['database.port'].matches(r'{addresses.PORT}')) "
    f"&& (!('publication.name' in self) || !self['publication.name'].matches(r'{QUOTED}'))",
    message="database.hostname is hosts, database.port a number, and publication.name has no quotes: the driver would "
    "read them as something else",
)
NO_CODE = Rule(
    rule=f"self.all(key, !key.matches(r'{CODE}'))",
    message="properties that load a class, open a file or run a script of a spec may not stand here: remove them; what "
    "runs in workers is what their image has",
)

OF_PROPERTIES = (NO_CODE, *NOWHERE_LOCAL)
