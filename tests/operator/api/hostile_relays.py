"""OutboxRelays that somebody wrote to do harm; see `hostile`, which has the other kinds."""

from __future__ import annotations

from typing import Any

from tests.operator.api.hostile import (
    ABOVE,
    ELSEWHERE,
    HAS_LOGIN,
    INVALID,
    LOCAL,
    LOGIN,
    MOST,
    PASSWORD,
    PATTERN,
    SHAPE,
    STOLEN,
    VICTIM,
    Hostile,
)
from tests.operator.api.hostile_consumers import OF_CONSUMERS

ONE_HOST = "write one host alone"
TABLE = "a table is TABLE or SCHEMA.TABLE"


def _relay(after: str, server: str, plan: str, reason: str = INVALID, **change: Any) -> Hostile:
    return Hostile(kind="OutboxRelay", after=after, change=change, server=server, plan=plan, reason=reason)


def _host(after: str, text: str, server: str = ONE_HOST, plan: str = ONE_HOST, reason: str = INVALID) -> Hostile:
    return _relay(after, server, plan, reason, mariadb={"host": text})


OF_RELAYS = (
    _host("a login in the status", "me:s3cret@db", LOGIN, HAS_LOGIN, PASSWORD),
    _host("more than a host, as a driver reads it", "evil/x?sslmode=disable"),
    _host("options of the driver", "db sslmode=disable"),
    _host("the cloud's metadata", "169.254.169.254", LOCAL, LOCAL),
    _host("the same as one number", "2852039166", LOCAL, LOCAL),
    _relay("SQL in the table", TABLE, TABLE, table='outbox"; DROP TABLE orders; --'),
    _relay("SQL in MySQL's table", TABLE, TABLE, table="outbox`; DROP TABLE orders; -- "),
    _relay("SQL in a column", SHAPE, PATTERN, columns={"payload": 'x" FROM users; --'}),
    _relay("a placeholder of the driver in a column", SHAPE, PATTERN, columns={"status": "%(password)s"}),
    _relay(
        "the dead letters of others",
        "begin with retry, dlq or connect",
        "begin with retry, dlq or connect",
        topicPrefix="dlq.other.",
    ),
    _relay("a path", SHAPE, PATTERN, topicPrefix="../x"),
    _relay("a Secret in the name of a topic", SHAPE, PATTERN, topicPrefix=STOLEN),
    _relay("all rows at once", MOST, ABOVE, batch=10**9),
    _relay(
        "somebody's Secret, by a database of one's own",
        "you name the Secret victim and may not get it",
        "Secret victim may be sent to friend only",
        ELSEWHERE,
        mariadb={"host": "evil", "credentials": {"secret": VICTIM}},
    ),
    *(
        _relay(
            f"somebody's Secret, as {what} for a database of one's own",
            "you name the Secret victim and may not get it",
            "Secret victim may be sent to friend only",
            ELSEWHERE,
            mariadb={"host": "evil", "tls": tls},
        )
        for what, tls in (
            ("authority", {"ca": {"secret": VICTIM, "key": "password"}}),
            ("client certificate", {"certificate": {"secret": VICTIM}}),
        )
    ),
    _relay(
        "somebody's Secret, in the pods",
        "you name the Secret victim and may not get it",
        "code that may send it anywhere",
        ELSEWHERE,
        template={"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": VICTIM, "key": "password"}}}]},
    ),
    Hostile(
        kind="OutboxRelay",
        after="a Kafka that somebody may not use",
        change={"kafka": "others"},
        server="you refer to the KafkaConnection others and may not use it",
        plan=None,
        argued="who asks is known to the API server alone",
    ),
    Hostile(
        kind="OutboxRelay",
        after="pods of somebody who may create none",
        change={"template": {"env": [{"name": "X", "value": "y"}]}},
        server="and you may not create pods in namespace shop",
        plan=None,
        argued="who asks is known to the API server alone",
    ),
)
OF_PODS = (*OF_CONSUMERS, *OF_RELAYS)
"""Those of kinds that have pods of the runtime."""
