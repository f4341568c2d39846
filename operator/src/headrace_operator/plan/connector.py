"""What to do about a Connector: validated by Connect, put, paused or stopped, restarted when tasks fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from headrace_operator.api import properties as raw
from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen, Validation
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectorWorld, Reference, Secrets
from headrace_operator.plan import (
    acceptance,
    captured_topics,
    causes,
    database,
    debezium,
    defaults,
    earlier_rows,
    exactly_once,
    external,
    left,
    marks,
    names,
    needs,
    operations,
    outbox_rows,
    publication,
    record_sizes,
    reported,
    requests,
    rest,
    restarts,
    sharing,
    signals,
    snapshot_signals,
)
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Action, Plan, PutConnector, SetState
from headrace_operator.plan.conditions import Finding, dated, false, notes, true, unknown, with_ready
from headrace_operator.plan.operations import Operating
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.source import Source, is_on
from headrace_operator.settings import Settings

NEEDED = frozenset({"Accepted", "CredentialsCurrent", "ConnectKnown", "Running"})
VERBS: Mapping[str, Literal["pause", "stop", "resume"]] = {"Running": "resume", "Paused": "pause", "Stopped": "stop"}
INITIAL: Mapping[str | None, Literal["PAUSED", "STOPPED"]] = {"Paused": "PAUSED", "Stopped": "STOPPED"}
NONE_SEEN: Secrets = {}
NAMESAKE = (
    "Kafka Connect still has what an earlier Connector of this name left: it is being removed, with its offsets, and "
    "this one then begins anew. How far that is says status.leaving of the ConnectCluster."
)
SOON = timedelta(seconds=1)
"""When to look again for a right that the ConnectCluster's own pass is about to give."""


def wanted(
    resource: Resource,
    home: str | Unknown,
    others: tuple[Resource, ...] = (),
    secrets: Secrets = NONE_SEEN,
    cluster: Resource | None = None,
    kafka: Reference | None = None,
) -> Mapping[str, str] | None:
    """Return the configuration that Connect shall validate and run; None when the spec as written is not valid.

    ``home`` is the UID of the namespace; while it is not known the mark is not whole, and nothing runs so. An agent
    makes the publication where the ``cluster`` has one. ``kafka`` is the one by which it is told of snapshots.
    """
    judged = judge(resource, others, secrets, cluster)
    if judged.spec is None or judged.problem is not None:
        return None
    return _configuration(resource, judged.spec, home, cluster, kafka)


def _configuration(
    resource: Resource, spec: ConnectorSpec, home: str | Unknown, cluster: Reference | None, kafka: Reference | None
) -> dict[str, str]:
    has_agent = isinstance(cluster, Resource) and is_on(cluster)
    made = debezium.configuration(resource, spec, has_agent=has_agent) | record_sizes.bounded(spec, cluster)
    made = {**exactly_once.demanded(cluster), **outbox_rows.bound(spec, cluster), **made}
    made |= signals.demanded(resource, spec, cluster, kafka)
    return {**made, **marks.mark(resource, home if isinstance(home, str) else ""), **left.wanted(spec)}


def unprepared(
    resource: Resource, others: tuple[Resource, ...], secrets: Secrets, cluster: Resource, source: Source
) -> str | None:
    """Say what the database lacks for the spec as written, as the source agent sees it; None where there is none."""
    if not is_on(cluster):
        return None
    judged = judge(resource, others, secrets, cluster)
    return database.held(resource, judged.spec, source) if judged.spec and judged.problem is None else None


def unread(resource: Resource, readable: frozenset[str] | Unknown) -> str | None:
    """Say why the workers could not read a Secret that the spec names, so that Connect is not asked about it yet."""
    if isinstance(readable, Unknown):
        return readable.reason
    name = next((one for one in needs.connector_secrets(resource.spec) if one not in readable), None)
    connect = resource.spec.get("connect")
    return name and f"The workers may not read Secret {name} yet: ConnectCluster {connect} is to give them the right."


def plan(world: ConnectorWorld, settings: Settings, now: datetime) -> Plan:
    """Return what Connect shall do about this connector, and the status."""
    resource = world.resource
    own = judge(resource, world.others, world.secrets, world.connect)
    judged = _validated(world, own)
    credentials = _credentials(world, judged.spec)
    operating = operations.decide(resource, None if _foreign(world) else world.seen, judged.spec, now)
    source = database.findings(world, judged.spec)
    halted = database.halts(source[1], judged.spec)
    actions: tuple[Action, ...] = ()
    if not _foreign(world):
        wider = captured_topics.widened(world.connect, judged.spec, world.captured.sizes)
        actions = (*wider, *_changes(world, judged, credentials, operating, halted=halted))
    failing = _failing(world, judged.spec, operating, bool(actions) or judged.spec is None or halted, now)
    if failing.due and isinstance(world.seen, ConnectorSeen):
        actions = (failing.action(_url(world), world.seen.name),)
    running = operating.finding or _running(world, judged.spec, failing)
    if running.status == "True" and (actions or isinstance(world.validation, Unknown)):
        running = false("Running", Reason.APPLYING, _applying(world.validation))
    if running.status == "True" and isinstance(world.connect, Resource):
        actions = (*actions, *captured_topics.creations(resource, world.connect, world.captured.missing))
        actions = (*actions, *snapshot_signals.stops(world))
    ready, *others = source
    rows = earlier_rows.unread(world, judged.spec, now)
    others += earlier_rows.finding(rows, world.source)
    found = [_accepted(world, judged), _connect(world), credentials, ready, *others, running]
    findings = with_ready(found, NEEDED | database.needed(source), judged.stalled)
    previous = resource.status.get("conditions") or []
    conditions = dated(findings, previous, resource.generation, now)
    of_database = database.status(world, own.spec if own.problem is None else None, judged.spec)
    status = reported.status(world, judged, failing) | of_database
    status |= {"conditions": conditions, "operations": operating.records or None, "unread": rows or None}
    again = timedelta(seconds=10 if conditions[0]["status"] == "True" or judged.problem else 3)
    if operating.holds or (isinstance(world.validation, Unknown) and unread(resource, world.readable)):
        again = SOON
    told = (*notes(previous, conditions), *operating.notes)
    return Plan(actions=actions, status=status, notes=told, look_again=again)


def judge(
    resource: Resource,
    others: tuple[Resource, ...] = (),
    secrets: Secrets = NONE_SEEN,
    cluster: Reference | None = None,
) -> Acceptance[ConnectorSpec]:
    """Return which spec of a Connector is in force beside ``others``, before Connect was asked about it.

    It has the defaults of its ``cluster``; while that is not known those of before.
    """
    given = defaults.given(resource, cluster)

    def only_to_hosts(spec: ConnectorSpec) -> Finding | None:
        if not acceptance.bounded(secrets):
            return None
        named = needs.connector_named(spec.model_dump(by_alias=True, exclude_none=True))
        return acceptance.only_to_hosts(named, secrets, debezium.addresses(resource, spec))

    checks: tuple[defaults.Check, ...] = (
        lambda spec: acceptance.no_passwords("config", spec.config),
        lambda spec: acceptance.no_identity("config", spec.config),
        lambda spec: acceptance.no_kafka("config", spec.config),
        lambda spec: acceptance.no_login("postgres.host", spec.postgres.host, "@"),
        lambda spec: acceptance.no_code("config", spec.config),
        lambda spec: acceptance.nowhere_local("config", spec.config),
        lambda spec: acceptance.no_stray_references("config", spec.config, raw.CONNECTOR_SECRETS, resource.namespace),
        lambda spec: debezium.stray_reference(resource, spec),
        debezium.misread_database,
        debezium.misread_address,
        lambda spec: debezium.shared_topic(resource, spec),
        lambda spec: debezium.reserved_topics(resource, spec),
        lambda spec: publication.same_outbox(resource, spec),
        lambda spec: sharing.taken(resource, spec, others),
        only_to_hosts,
    )
    judged = acceptance.judge(ConnectorSpec, resource, defaults.checked(checks, given))
    return acceptance.in_force_within(defaults.applied(judged, resource, given), only_to_hosts)


def _accepted(world: ConnectorWorld, judged: Acceptance[ConnectorSpec]) -> Finding:
    """Return the condition `Accepted`, with what the database must have and nobody but the user can see to."""
    if judged.problem is not None or judged.spec is None:
        return judged.finding
    advice = (publication.advice(judged.spec), left.advice(judged.spec, world.connect))
    return dataclasses.replace(judged.finding, message=" ".join(filter(None, (judged.finding.message, *advice))))


def _failing(
    world: ConnectorWorld, spec: ConnectorSpec | None, operating: Operating, busy: bool, now: datetime
) -> restarts.Failing:
    """Return what is known of failing tasks; an edit or a request counts anew; a restart waits for other actions."""
    if _foreign(world):
        return restarts.Failing(error=None, record=None)
    status = world.resource.status
    before = status.get("restarts")
    if operating.holds:
        return restarts.Failing(error=None, record=before)
    asked = requests.is_new(world.resource) or operating.restarts
    if status.get("observedGeneration") != world.resource.generation or asked:
        before = restarts.anew(before)
    failing = restarts.decide(world.seen, spec, before, now, world.doubt)
    told = dataclasses.replace(failing, advice=_advice(world.resource, spec, failing))
    return dataclasses.replace(told, due=False, record=before) if told.due and busy else told


def _advice(resource: Resource, spec: ConnectorSpec | None, failing: restarts.Failing) -> str:
    """Return what to do about what failed, with the names of this Connector."""
    if failing.cause.name == causes.SIZE:
        return record_sizes.advice(resource, spec, failing.error)
    secret = spec.postgres.credentials.secret if spec else "of the Connector"
    return failing.cause.advice.format(secret=secret, connector=f"{resource.name} -n {resource.namespace}")


def _validated(world: ConnectorWorld, judged: Acceptance[ConnectorSpec]) -> Acceptance[ConnectorSpec]:
    """Return what is accepted once Connect was asked; until it answers, the last accepted spec stays on record."""
    if judged.problem is not None:
        return judged
    if judged.spec is not None and (problem := _lacking(world, judged.spec)) is not None:
        return _refuse(world, problem)
    if isinstance(world.validation, Unknown) or isinstance(world.seen, Unknown) or external.holds(world.connect):
        return dataclasses.replace(judged, accepted=world.resource.status.get("accepted"))
    if world.validation is None or (sentence := refusal(world.validation)) is None:
        return judged
    problem = false("Accepted", Reason.VALIDATION_FAILED, f"Kafka Connect refuses the configuration: {sentence}")
    return _refuse(world, problem)


def _lacking(world: ConnectorWorld, spec: ConnectorSpec) -> Finding | None:
    """Say what Kafka Connect or the database has not, and must have."""
    if external.is_one(world.connect):
        made = debezium.configuration(world.resource, spec)
        if (unfit := external.refusal(world.connect, made)) is not None:
            return unfit
    return database.refusal(world, spec)


def _refuse(world: ConnectorWorld, problem: Finding) -> Acceptance[ConnectorSpec]:
    judged = acceptance.refuse(ConnectorSpec, world.resource, problem)
    return defaults.applied(judged, world.resource, {})


def _changes(
    world: ConnectorWorld,
    judged: Acceptance[ConnectorSpec],
    credentials: Finding,
    operating: Operating,
    *,
    halted: bool,
) -> tuple[Action, ...]:
    """Return what to tell Connect, in order: what shall not run is paused or stopped before it is configured anew.

    What is ``halted`` is configured as wanted, and not resumed.
    """
    put, state = _put(world, judged, credentials), _state(world, judged.spec, operating)
    if operating.holds and isinstance(world.seen, ConnectorSeen):
        return (*state, *put, *(() if state else operating.actions(_url(world), world.seen.name)))
    resumes = any(isinstance(action, SetState) and action.verb == "resume" for action in state)
    if resumes and halted:
        return put
    return (*put, *state) if resumes else (*state, *put)


def _url(world: ConnectorWorld) -> str:
    if isinstance(world.connect, Resource):
        return rest.url(world.connect)
    return names.connect_url(world.resource.namespace, str(world.resource.spec.get("connect")))


def _put(world: ConnectorWorld, judged: Acceptance[ConnectorSpec], credentials: Finding) -> tuple[Action, ...]:
    if judged.spec is None or isinstance(world.seen, Unknown) or isinstance(world.validation, Unknown):
        return ()
    if credentials.status != "True" or not isinstance(world.connect, Resource) or isinstance(world.home, Unknown):
        return ()
    configuration = _configuration(world.resource, judged.spec, world.home, world.connect, world.signals)
    if external.holds(world.connect) or external.refusal(world.connect, configuration):
        return ()
    if isinstance(world.seen, ConnectorSeen) and is_running(configuration, world.seen):
        return ()
    initial = INITIAL.get(judged.spec.state) if isinstance(world.seen, Absent) else None
    name = configuration["name"]
    put = PutConnector(url=_url(world), connector=name, config=configuration, initial=initial)
    return (*signals.creations(world.resource, world.connect, configuration), put)


def _applying(validation: Validation | Unknown | None) -> str:
    if isinstance(validation, Unknown):
        return f"Kafka Connect runs what was accepted before: {validation.reason}"
    return "Kafka Connect is being told of what was accepted."


def _foreign(world: ConnectorWorld) -> Finding | None:
    """Say that someone else made a connector of this name, or may have: its pass then never touches it."""
    seen = world.seen
    if not isinstance(seen, ConnectorSeen) or marks.is_for(seen.config, world.resource, world.home):
        return None
    if isinstance(world.home, Unknown) and marks.NAMESPACE in seen.config:
        return unknown("Running", Reason.UNKNOWN, world.home.reason)
    if marks.is_at(seen.config, world.home):
        return false("Running", Reason.NAMESAKE_LEAVES, NAMESAKE)
    return false("Running", Reason.NAME_TAKEN, marks.stranger(seen.name, seen.config))


def refusal(validation: Validation) -> str | None:
    """Return what Connect has against a configuration, in its own words; None when it would run."""
    return "; ".join(f"{error.field}: {error.message}" for error in validation.errors[:3]) or None


def is_running(configuration: Mapping[str, str], seen: ConnectorSeen) -> bool:
    """Tell whether Connect runs exactly this configuration."""
    return dict(configuration) == dict(seen.config)


def is_left_alone(resource: Resource, configuration: Mapping[str, str] | None, seen: ConnectorSeen) -> bool:
    """Tell whether nothing is done about a connector that is seen so; what else is seen is no ground to write on."""
    if operations.is_wanted(resource) or requests.is_new(resource):
        return False
    states = {seen.state, *(task.state for task in seen.tasks)}
    wanted = str(resource.spec.get("state") or "Running").upper()
    return configuration is not None and is_running(configuration, seen) and states == {wanted}


def _state(world: ConnectorWorld, spec: ConnectorSpec | None, operating: Operating) -> tuple[Action, ...]:
    if spec is None or not isinstance(world.seen, ConnectorSeen):
        return ()
    state = "Stopped" if operating.holds else spec.state or "Running"
    paused = world.seen.state in ("PAUSED", "STOPPED")
    if (state == "Running" and not paused) or world.seen.state == state.upper() or world.seen.state == "UNASSIGNED":
        return ()
    return (SetState(url=_url(world), connector=world.seen.name, verb=VERBS[state]),)


def _connect(world: ConnectorWorld) -> Finding:
    name = world.resource.spec.get("connect")
    match world.connect:
        case Absent():
            return false("ConnectKnown", Reason.CONNECT_NOT_FOUND, f"ConnectCluster {name} does not exist: create it.")
        case Unknown(reason=reason):
            return unknown("ConnectKnown", Reason.UNKNOWN, reason)
        case _ if isinstance(world.seen, Unknown):
            return false("ConnectKnown", Reason.CONNECT_UNREACHABLE, world.seen.reason)
        case _:
            return external.holds(world.connect) or true(
                "ConnectKnown", Reason.CONNECT_ANSWERS, f"ConnectCluster {name} answers."
            )


def _credentials(world: ConnectorWorld, spec: ConnectorSpec | None) -> Finding:
    """Speak of the Secret of the spec in force: a refused edit's own must not hinder what runs."""
    kind = "CredentialsCurrent"
    if spec is None:
        return unknown(kind, Reason.UNKNOWN, "No spec that names a Secret is accepted.")
    credentials = spec.postgres.credentials
    seen = world.secrets[credentials.secret]
    if isinstance(seen, Unknown):
        return unknown(kind, Reason.UNKNOWN, seen.reason)
    if isinstance(seen, Absent) and external.is_one(world.connect):
        text = f"Secret {credentials.secret} is not in this namespace; the Kafka Connect of others has its own."
        return true(kind, Reason.READY, text)
    if isinstance(seen, Absent):
        text = f"Secret {credentials.secret} does not exist in this namespace: create it."
        return false(kind, Reason.SECRET_NOT_FOUND, text)
    missing = next((key for key in credentials.keys if key not in seen.keys), None)
    if missing is not None:
        text = f"Secret {seen.name} has no key {missing}: add it, or name another key."
        return false(kind, Reason.SECRET_KEY_MISSING, text)
    return true(kind, Reason.READY, "The Secret exists and has the keys.")


def _running(world: ConnectorWorld, spec: ConnectorSpec | None, failing: restarts.Failing) -> Finding:
    seen = world.seen
    if isinstance(seen, Unknown):
        return unknown("Running", Reason.CONNECT_UNREACHABLE, seen.reason)
    if isinstance(seen, Absent):
        refused = world.validation.reason if isinstance(world.validation, Unknown) else "The connector is not made yet."
        return false("Running", Reason.STARTING, refused)
    if foreign := _foreign(world):
        return foreign
    if failing.error is not None:
        return false("Running", failing.reason, failing.message)
    if seen.state in ("PAUSED", "STOPPED") and spec and (spec.state or "Running").upper() == seen.state:
        return true("Running", Reason(seen.state.capitalize()), f"The connector is {seen.state.lower()}, as wanted.")
    running = sum(task.state == "RUNNING" for task in seen.tasks)
    if seen.state == "RUNNING" and seen.tasks and running == len(seen.tasks):
        if failing.restarted is not None:
            return false("Running", Reason.RECOVERING, failing.restarted)
        return true("Running", Reason.TASKS_RUNNING, f"All tasks run: {running}.")
    return false(
        "Running", Reason.STARTING, f"The connector is {seen.state}; {running} of {len(seen.tasks)} tasks run."
    )
