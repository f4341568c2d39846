"""A relay from what the operator makes of an OutboxRelay: its contract, and its Secrets as the kubelet mounts them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace import outbox
from headrace.outbox import Told
from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.relay import Relays
from headrace_operator.observed.kube import SecretSeen
from headrace_operator.plan.actions import Apply
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.operator.plan import statuses
from tests.runtime.consumer_process import Running
from tests.runtime.relay import outboxes
from tests.runtime.relay.outboxes import Outbox, Place, relaying
from tests.waiting import until

pytestmark = pytest.mark.slow

FOLDER = "/etc/headrace"
COUNT = 500


def planned(made: Outbox, **more: Any) -> dict[str, dict[str, Any]]:
    """Return what the operator applies for an OutboxRelay of this outbox, by kind."""
    kind = "mariadb" if made.relay.database.dialect == "mysql" else "postgres"
    where = {"host": "127.0.0.1", "port": made.place.port, "database": "relay", "credentials": {"secret": "login"}}
    spec = {"kafka": "kafka", kind: where, "table": made.table, **more}
    world = worlds.outbox_relay_world(
        resource=worlds.resource("OutboxRelay", made.relay.relay, spec),
        kafka=worlds.kafka(made.broker.bootstrap_servers),
        secrets={"login": SecretSeen(name="login", keys=frozenset({"username", "password"}))},
    )
    applied = [one.manifest for one in statuses.planned(world).actions if isinstance(one, Apply)]
    return {one["kind"]: dict(one) for one in applied}


def mounted(objects: dict[str, dict[str, Any]], secrets: dict[str, dict[str, str]], folder: Path) -> outbox.Relay:
    """Write the files of the pods' volume below a folder, and return the contract with its places there."""
    held = {"configMap": objects["ConfigMap"]["data"]}
    volume = objects["Deployment"]["spec"]["template"]["spec"]["volumes"][0]
    for source in volume["projected"]["sources"]:
        ((of, named),) = source.items()
        for item in named["items"]:
            file = folder / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(held[of][item["key"]] if of == "configMap" else secrets[named["name"]][item["key"]])
    text = (folder / outbox.PATH.removeprefix(f"{FOLDER}/")).read_text()
    return outbox.load(text.replace(FOLDER, str(folder)))


def test_rows_flow_by_what_the_operator_makes(made: Outbox, tmp_path: Path) -> None:
    """Through either database, to the topics that the status names."""
    objects = planned(made, interval="200ms", retention="7d")
    relay = mounted(objects, {"login": {"username": made.place.user, "password": ""}}, tmp_path / "pod")
    made.topic()
    made.insert([(f"key-{number % 7}", json.dumps({"n": number})) for number in range(COUNT)])

    with relaying(made, relay) as running:
        until("all processed", made.is_done(COUNT))
        until("ready", lambda: running.get("/readyz")[0] == 200)
        assert running.stop() == 0

    assert relay.topic_prefix == made.relay.topic_prefix
    numbers = [json.loads(one.value or b"")["n"] for one in made.published()]
    assert sorted(numbers) == list(range(COUNT))
    by_key = [[n for n in numbers if n % 7 == key] for key in range(7)]
    assert all(found == sorted(found) for found in by_key)


def told(running: Running, holds: Callable[[Told], bool] = lambda _: True) -> Told | None:
    """Return what the operator reads of a relay's pod; None while it does not answer, or not so that ``holds``."""

    async def asked() -> Told | None:
        async with aiohttp.ClientSession() as session:
            try:
                return await Relays(session, port=running.port).told("127.0.0.1")
            except Unreachable:
                return None

    found = asyncio.run(asked())
    return found if found is not None and holds(found) else None


def test_the_operator_reads_what_is_in_the_way_and_what_waits(made: Outbox) -> None:
    """A topic that is missing is told by name, and is over once it is there; figures follow."""
    made.insert([("key", "{}")] * 3)
    topic = f"{made.relay.topic_prefix}order"
    with relaying(made) as running:
        found = until("that rows wait", lambda: told(running, lambda one: topic in (one.rows or "")))
        world = statuses.changed(statuses.settled("OutboxRelay"), told=(found,))
        said = worlds.condition(statuses.planned(world), "Ready")
        assert (said["status"], said["reason"]) == ("False", "RowsWait")
        assert topic in said["message"]

        made.topic()
        until("all processed", made.is_done(3))
        until("that nothing is in the way", lambda: told(running) == Told(pending=0, failed=0, oldest=0.0))


def test_of_a_table_that_is_not_there_nothing_is_counted(
    place: Place, kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    made = outboxes.make(place, kafka_broker, tmp_path, table=False)
    with relaying(made) as running:
        found = until("that it says so", lambda: told(running, lambda one: one.database is not None))

    assert (found.pending, found.failed, found.oldest) == (None, None, None)
    assert "headrace outbox ddl prints" in str(found.database)


def test_the_command_of_the_pod_is_one_there_is(made: Outbox) -> None:
    """It reads the contract where the pods have it, without being told."""
    container = planned(made)["Deployment"]["spec"]["template"]["spec"]["containers"][0]

    assert container["command"] == ["headrace", "relay"]
    assert outbox.PATH.startswith(container["volumeMounts"][0]["mountPath"])
