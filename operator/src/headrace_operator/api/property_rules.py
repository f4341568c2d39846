"""Rules of raw properties for the schema, made of the lists by which plans judge them, too (`properties`)."""

from __future__ import annotations

from headrace_operator.api.properties import (
    CONTROL,
    IDENTITY,
    KAFKA,
    LOGIN,
    MARKS,
    ODD,
    OF_ONE,
    REFERENCE,
    SECRET,
    TUNING,
    WHOLE,
    WORKERS,
)
from headrace_operator.api.schema import Rule

NO_PASSWORDS = Rule(
    rule=f"self.all(key, (!key.matches(r'{SECRET}') || self[key].matches(r'{REFERENCE}')) "
    f"&& !self[key].matches(r'{LOGIN}'))",
    message="a password would stand here in plain text: name a Secret with credentials instead",
)


def only_whole_references(allowed: tuple[str, ...]) -> Rule:
    """Return the rule for properties of which the ``allowed`` ones may name a Secret."""
    return Rule(
        rule=f"self.all(key, !self[key].matches(r'{REFERENCE}') "
        f"|| (key in {list(allowed)} && self[key].matches(r'{WHOLE}')))",
        message="a Secret would be shown: only the properties that docs/kafka-connection.md lists may name one, "
        "each as ${secrets:NAMESPACE/NAME:KEY} and nothing else",
    )


ONLY_TUNING = Rule(
    rule=f"self.all(key, key in {list(TUNING)})",
    message="only properties that tune the client may stand here (docs/kafka-connection.md lists them): remove the "
    "others; bootstrapServers, tls and sasl say where Kafka is and how to log in",
)
NO_IDENTITY = Rule(
    rule=f"self.all(key, !(key in {list(IDENTITY)}) && !key.matches(r'{MARKS}'))",
    message="the connector's name, class, database, slot and prefix of topics, and all that begins with headrace., are "
    "set by Headrace: remove them here; postgres.database, postgres.slot, topics.prefix and onDelete are their fields",
)
NONE_OF_ONE = Rule(
    rule=f"self.all(key, !key.matches(r'{OF_ONE}'))",
    message="a default is for all Connectors: database, login, SQL, publication and tables are said by each of them",
)
NO_REFERENCES = Rule(
    rule=f"self.all(key, !self[key].matches(r'{REFERENCE}'))",
    message="a default names no Secret: the Connector names its own, whose writer must have the right to it",
)
NO_KAFKA = Rule(
    rule=f"self.all(key, !key.matches(r'{KAFKA}'))",
    message="where Kafka is and how to log in is said by the KafkaConnection alone, and how it is verified: remove "
    "those properties here",
)
NOT_THE_WORKERS = Rule(
    rule=f"self.all(key, !key.matches(r'{WORKERS}'))",
    message="the workers' Kafka, login, group, topics, listeners and plug-ins are set by Headrace: remove them here; "
    "the KafkaConnection says where Kafka is and how to log in",
)
PLAIN_LINES = Rule(
    rule=f"self.all(key, !key.matches(r'{ODD}') && !self[key].matches(r'{CONTROL}'))",
    message="a name is letters, digits, dots, hyphens and underscores, and a value is one line: mend the others",
)
