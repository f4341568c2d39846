"""What the source agent of a ConnectCluster is told to look at, and to keep: one source for each of its Connectors."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from headrace_agent import declared, places
from headrace_operator.api import addresses
from headrace_operator.api import properties as raw
from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import Secrets
from headrace_operator.plan import acceptance, connector, debezium, marks, names, publication
from headrace_operator.plan.children import digest

SKIPPED: Mapping[str, declared.Operation] = {"c": "insert", "u": "update", "d": "delete", "t": "truncate"}
"""What Debezium may skip, by its letters (``skipped.operations``)."""

MODES: Mapping[str, declared.TlsMode] = {mode: mode for mode in get_args(declared.TlsMode)} | {"allow": "prefer"}
"""How the driver verifies a server (``sslmode``), as the agent names it."""

DATABASE = {"database.hostname": addresses.DATABASE.pattern, "database.port": addresses.PORT, "database.dbname": "."}
"""What a connector's configuration has of its database; what Kafka Connect tells may lack it."""

WITH_PORT = re.compile(r"^[^:]*:\d+(,|$)|\]:\d+(,|$)")


def declaration(
    cluster: Resource, connectors: Iterable[Resource], secrets: Secrets, left: tuple[declared.Postgres, ...] = ()
) -> declared.Declaration:
    """Return what the agent of ``cluster`` looks at: what its Connectors may have, by where ``secrets`` may go.

    A Connector by the name of one that ``left`` waits until what is declared for that is done.
    """
    waiting = {one.name for one in left}
    of_it = (one for one in connectors if one.spec.get("connect") == cluster.name and one.name not in waiting)
    every = sorted(of_it, key=lambda one: one.name)
    sources = tuple(found for one in every for found in _declared(one, cluster, secrets) if found is not None)
    return declared.Declaration(namespace=cluster.namespace, cluster=cluster.name, sources=(*sources, *left))


def left(
    cluster: Resource, configs: Mapping[str, Mapping[str, str]], secrets: Secrets, readable: Collection[str]
) -> tuple[declared.Postgres, ...]:
    """Return what the agent drops for connectors that leave, by their configurations.

    Their names are on Kafka Connect, which others may reach: only slots and publications that Headrace names for them
    are dropped, and only by logins that the workers can read, and may send there.
    """
    found = ((_left(cluster, name, config), config) for name, config in sorted(configs.items()))
    return tuple(one for one, config in found if one and _may_read(one.login.secret, config, secrets, readable))


def _may_read(secret: str, config: Mapping[str, str], secrets: Secrets, readable: Collection[str]) -> bool:
    return secret in readable and acceptance.only_to_hosts([secret], secrets, debezium.sent_to(config)) is None


def _left(cluster: Resource, connector_name: str, config: Mapping[str, str]) -> declared.Postgres | None:
    name = connector_name.removeprefix(names.connector(cluster.place, ""))
    ours = names.slot(cluster.place, name)
    published = config.get("publication.name", ours)
    drops = marks.drops_publication(config)
    if config.get("slot.name") != ours or (drops and published != ours):
        return None
    if any(re.search(pattern, config.get(field, "")) is None for field, pattern in DATABASE.items()):
        return None
    kept = declared.Publication(name=published, state="Dropped" if drops else "LookedAt")
    return _reached(name, config, slot=declared.Slot(name=ours, state="Dropped"), publication=kept, tables=())


def mounted(declaration: declared.Declaration) -> dict[str, tuple[str, ...]]:
    """Return the Secrets whose keys the agent reads, with those keys."""
    files = {file for one in declaration.sources for file in (one.login.username_file, one.login.password_file)}
    keys = sorted(file.removeprefix(f"{places.SECRETS}/").split("/", 1) for file in files)
    return {name: tuple(key for owner, key in keys if owner == name) for name, _ in keys}


def source_name(resource: Resource, spec: ConnectorSpec) -> str:
    """Return what a source is called: as its Connector, and apart while an edit would lead that elsewhere."""
    place = _place(resource, spec)
    accepted = publication.accepted(resource)
    if accepted is None or _place(resource, accepted) == place:
        return resource.name
    return f"{resource.name}@{digest(place)}"


def name_as_written(resource: Resource, cluster: Resource) -> str:
    """Return what the source of the spec as written is called; that of the Connector where it is no valid one."""
    judged = connector.judge(resource, cluster=cluster)
    return source_name(resource, judged.spec) if judged.spec and judged.problem is None else resource.name


def _place(resource: Resource, spec: ConnectorSpec) -> list[str]:
    made = debezium.configuration(resource, spec)
    return [made["database.hostname"], made["database.port"], made["database.dbname"]]


def _declared(resource: Resource, cluster: Resource, secrets: Secrets) -> Iterator[declared.Postgres | None]:
    """Yield the source of what runs, with the tables of the spec that is about to be in force; or one for each of them.

    Nothing is kept for a spec of which the database was not seen to have what it needs.
    """
    spec = connector.judge(resource, (), secrets, cluster).spec
    if spec is None:
        return
    name, known = source_name(resource, spec), publication.accepted_tables(resource)
    wanted = tuple(dict.fromkeys((*publication.tables(spec), *known)))
    if name == resource.name:
        may = set(wanted) <= set(known) or resource.status.get("preparedGeneration") == resource.generation
        yield source(resource, spec, wanted, keeps=may)
        return
    before = publication.accepted(resource)
    looked_at = source(resource, spec, wanted, keeps=False)
    yield looked_at and looked_at.model_copy(update={"name": name})
    yield source(resource, before, known, keeps=True) if before else None


def source(
    resource: Resource, spec: ConnectorSpec, captured: tuple[str, ...], *, keeps: bool
) -> declared.Postgres | None:
    """Return what the agent looks at for a Connector; None where raw properties say what it cannot follow.

    With ``keeps`` it writes heartbeats, and makes and alters the publication, if that is ours.
    """
    made = debezium.configuration(resource, spec)
    return _reached(
        resource.name,
        made,
        tables=captured,
        publication=_publication(made, keeps=keeps and publication.is_kept(spec)),
        slot=_slot(made, spec, keeps=keeps),
        heartbeat=declared.Heartbeat(prefix=debezium.OURS) if keeps and debezium.beats(made) else None,
    )


def _reached(name: str, made: Mapping[str, str], **kept: Any) -> declared.Postgres | None:
    """Return the source of a database as a connector that is configured so reaches it, and what is ``kept`` there."""
    user, password = (_file(made.get(f"database.{part}", "")) for part in ("user", "password"))
    mode = MODES.get(_driver(made, "sslmode", "prefer").lower())
    if user is None or password is None or mode is None or WITH_PORT.search(made["database.hostname"]):
        return None
    try:
        return declared.Postgres(
            name=name,
            host=re.sub(r"[\[\]]", "", made["database.hostname"]),
            port=int(made["database.port"]),
            database=made["database.dbname"],
            login=declared.Login(secret=password[0], username_file=user[1], password_file=password[1]),
            tls=declared.Tls(mode=mode, ca_file=_driver(made, "sslrootcert") or None),
            **kept,
        )
    except ValidationError:
        return None


def _driver(made: Mapping[str, str], name: str, default: str = "") -> str:
    """Return what the driver is given by a name: Debezium takes that of ``database.`` first."""
    return made.get(f"database.{name}") or made.get(f"driver.{name}") or default


def _slot(made: Mapping[str, str], spec: ConnectorSpec, *, keeps: bool) -> declared.Slot:
    drops = keeps and spec.postgres.resnapshots
    return declared.Slot(name=made["slot.name"], state="DroppedOnceLost" if drops else "LookedAt")


def _publication(made: Mapping[str, str], *, keeps: bool) -> declared.Publication:
    skipped = made.get("skipped.operations", debezium.SKIPPED).split(",")
    wanted = tuple(operation for letter, operation in SKIPPED.items() if letter not in skipped)
    return declared.Publication(name=made["publication.name"], state="Kept" if keeps else "LookedAt", operations=wanted)


def _file(value: str) -> tuple[str, str] | None:
    """Return the Secret that a property names, and where its key is in the agent's pod."""
    found = re.fullmatch(raw.WHOLE, value)
    return found and (found[2], places.secret_file(found[2], value[:-1].rpartition(":")[2]))
