"""What ``kubectl describe`` says of a Connector in each case of failure that is known, as text.

``python -m tests.operator.plan.described`` writes them to tests/golden/described; the test beside it compares. Each is
to say what happened, by what one knows it, what Headrace does next, and what the person should do.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace_operator.observed.connect import ConnectorSeen, FieldError, TaskSeen, Validation
from headrace_operator.observed.kube import SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan.actions import Plan
from tests.fakes import agent
from tests.operator import worlds
from tests.operator.plan.databases import LACKS, LOST, ROWS, WELL, planned, running, without_slot, world

GOLDEN = Path(__file__).parents[2] / "golden/described"
TRACES = Path(__file__).parent / "traces"
HELD = Unknown(reason="Kafka Connect is not asked yet.")


def cases() -> Iterator[tuple[str, Plan]]:
    """Yield each case, by a name in small letters, with the plan of the pass that sees it."""
    for number, (facts, reason, _) in enumerate(LACKS):
        lacking = world(agent.source(**{"tables": WELL, **facts}), resource=ROWS, validation=HELD)
        yield f"lacks-{number}-{reason.lower()}", planned(lacking)
    for name, seen in (*_of_databases(), *_of_slots(), *_of_specs()):
        yield name, planned(seen)
    for trace in sorted(TRACES.glob("*.txt")):
        yield f"task-{trace.stem.replace('_', '-')}", planned(_failed(trace.read_text()))


def text(plan: Plan) -> str:
    """Return ``Ready``, and each other condition that is not as it should be, with their whole sentences."""
    found = plan.status["conditions"]
    told = (
        one for one in found if one["type"] == "Ready" or (one["status"] != "True" and one["type"] != "Reconciling")
    )
    return "".join(f"{one['type']}: {one['status']} ({one['reason']})\n{_wrapped(one['message'])}\n" for one in told)


def _wrapped(message: str) -> str:
    return textwrap.fill(message, 116, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _of_databases() -> Iterator[tuple[str, ConnectorWorld]]:
    away = agent.source(login=agent.unseen("NotReached", "connection refused."))
    refused = agent.source(login=agent.unseen("LoginRefused", 'password authentication failed for user "shop".'))
    other = agent.source(server=agent.seen(agent.SERVER | {"system_identifier": "7002"}))
    bare = agent.source(tables={"public.outbox": {"published": False}}, publication=agent.seen(None))
    yield "database-away-at-first", world(away, validation=HELD)
    yield "database-away", running(world(), source=away, stands=True)
    yield "login-refused", running(world(), source=refused, stands=True)
    yield "login-refused-to-the-agent-alone", running(world(), source=refused)
    there = running(world())
    captured = worlds.with_status(there, planned(there).status)
    yield "other-server", dataclasses.replace(captured, source=other)
    yield "publication-awaited", world(bare, validation=HELD)
    yield "agent-silent", running(world(), source=Unknown(reason="GET http://main-agent.shop.svc:8080/sources: none."))
    yield "no-agent", running(worlds.connector_world(source=Unknown(reason="ConnectCluster main has no source agent.")))


def _of_slots() -> Iterator[tuple[str, ConnectorWorld]]:
    resnapshot = {**worlds.CONNECTOR.spec["postgres"], "onSlotLost": "Resnapshot"}
    own = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, "postgres": resnapshot})
    lost = {**agent.SLOT, **LOST[0]}
    yield "slot-gone", without_slot(worlds.CONNECTOR, None)
    yield "slot-lost", without_slot(worlds.CONNECTOR, lost)
    yield "slot-gone-resnapshot", without_slot(own, None)
    yield "slot-lost-resnapshot", without_slot(own, lost)
    facts: dict[str, dict[str, Any]] = {
        "slot-made-anew": {"confirmed_position": "1/5000", "active": False},
        "slot-inactive": {"active": False},
        "slot-growing": {"hours_left": 3.0, "retained_bytes": 5 * 2**30},
        "slot-filling-the-disk": {"retained_bytes": 40 * 2**30, "growth": 9.0},
    }
    for name, changed in facts.items():
        yield name, running(world(), source=agent.source(slot=agent.seen({**agent.SLOT, **changed})), stands=True)
    yield "no-progress", running(world(), stands=True)


def _of_specs() -> Iterator[tuple[str, ConnectorWorld]]:
    keyless = SecretSeen(name="shop-db", keys=frozenset({"username"}))
    wrong = Validation(errors=(FieldError(field="database.dbname", message="no database shop"),))
    there = running(world())
    yield "secret-missing", world(secrets={"shop-db": Absent()}, validation=HELD)
    yield "secret-without-password", world(secrets={"shop-db": keyless}, validation=HELD)
    yield "connect-missing", world(connect=Absent(), seen=HELD, validation=None)
    yield "connect-away", dataclasses.replace(there, seen=Unknown(reason="GET http://main: it did not answer."))
    yield "validation-failed", world(validation=wrong)
    yield "restarts-exhausted", _failed((TRACES / "rights.txt").read_text(), attempts=3, restart={"maxAttempts": 3})


def _failed(trace: str, attempts: int = 1, **spec: Any) -> ConnectorWorld:
    """Return the world of a task that failed, was restarted so often, and waits for its next restart."""
    resource = dataclasses.replace(worlds.CONNECTOR, spec={**worlds.CONNECTOR.spec, **spec})
    there = running(world(resource=resource))
    assert isinstance(there.seen, ConnectorSeen)
    task = TaskSeen(id=0, state="FAILED", worker="10.0.0.1:8083", trace=trace)
    record = {"attempts": attempts, "nextTime": "2026-01-02T03:04:25Z"}
    seen = dataclasses.replace(there, seen=dataclasses.replace(there.seen, tasks=(task,)))
    return worlds.with_status(seen, {**there.resource.status, "restarts": record})


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for case, made in cases():
        (GOLDEN / f"{case}.txt").write_text(text(made))
