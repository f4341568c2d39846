"""Levels of the workers' loggers, and which loggers may not say more than warnings, as they would tell secrets.

Source: Kafka Connect sets a level for all loggers whose names begin with the one that is named (KIP-495).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from headrace_operator.api.schema import Rule

MOST = 20
"""Loggers that one ConnectCluster may name: each is asked for, and perhaps set, at each worker."""

Level = Literal["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]
QUIET = ("ERROR", "WARN")

NAME = r"^[A-Za-z_][A-Za-z0-9_$-]*(\.[A-Za-z0-9_$-]+)*$"
ROOT = r"^[rR][oO][oO][tT]$"
LONGEST_NAME = 250

TELLING = (
    "io.fabric8",
    "io.strimzi",
    "org.apache.kafka.common.config",
    "org.apache.kafka.common.security",
    "org.eclipse.jetty",
)
"""What loggers begin with that tell logins, or may: only Jetty's were seen to.

Jetty writes each header of a request, so the login to the REST interface; the client of Kubernetes bodies, so Secrets;
Kafka's configurations each value that a plug-in does not declare to be a password; its logins what they exchange.
"""

NAMED = (
    f"a logger's name is that of a class or package, such as io.debezium, of at most {LONGEST_NAME} characters; the "
    "level of all is the variable HEADRACE_LOG_LEVEL of workers.template"
)
TELLS = (
    f"{', '.join(TELLING)}, and so what these begin with, would log passwords: ERROR and WARN alone are for them; name "
    "narrower loggers"
)

RULES = (
    Rule(
        rule=f"self.all(name, name.size() <= {LONGEST_NAME} && name.matches(r'{NAME}') && !name.matches(r'{ROOT}'))",
        message=NAMED,
    ),
    Rule(
        rule=f"self.all(name, self[name] in {list(QUIET)} "
        f"|| !{list(TELLING)}.exists(one, one.startsWith(name) || name.startsWith(one)))",
        message=TELLS,
    ),
)


def _named(levels: dict[str, Level]) -> dict[str, Level]:
    if all(len(name) <= LONGEST_NAME and re.search(NAME, name) and not re.search(ROOT, name) for name in levels):
        return levels
    raise ValueError(NAMED)


def _discreet(levels: dict[str, Level]) -> dict[str, Level]:
    for name, level in levels.items():
        if level not in QUIET and any(one.startswith(name) or name.startswith(one) for one in TELLING):
            raise ValueError(TELLS)
    return levels


LogLevels = Annotated[
    dict[str, Level],
    Field(max_length=MOST),
    AfterValidator(_named),
    AfterValidator(_discreet),
]
"""A level for each logger that is named."""
