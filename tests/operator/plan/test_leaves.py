"""Every field of every kind: set, unset, put back, and at its bounds; none is without effect.

They are taken from the definitions: a new field fails here until a spec of `leaves` has it, and something reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from headrace_operator.observed.connect import ConnectorSeen, LoggersSeen, Validation
from headrace_operator.observed.kafka import TopicSeen
from headrace_operator.observed.kube import Children, SecretSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConnectClusterWorld, ConnectorWorld, SnapshotWorld
from headrace_operator.plan import needs, rest, sources
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.children import APPLIED
from tests.fakes.connect_loggers import inherited
from tests.operator import worlds
from tests.operator.plan import leaves, statuses, templates
from tests.operator.plan.leaves import Json, Place

Edit = Callable[[Json, Place], Iterator[Json]]
EDITS: tuple[Edit, ...] = (leaves.unset, leaves.altered)
KINDS = pytest.mark.parametrize("kind", leaves.SPECS)


@KINDS
def test_the_specs_have_every_field_and_are_accepted(kind: str) -> None:
    assert leaves.fields(kind).keys() == leaves.places(kind).keys()
    for spec in leaves.SPECS[kind]:
        assert leaves.refusal(leaves.first(kind, spec)) is None
        assert Draft202012Validator(leaves.schema(kind)).is_valid(spec)


@pytest.mark.case("clusters-7")
@KINDS
def test_no_field_is_inert(kind: str) -> None:
    """Each changes an action, an object or the contract: when it is taken out, and when it has another value."""
    nodes = leaves.fields(kind)
    inert: list[str] = []
    untried: list[str] = []
    for field, found in leaves.places(kind).items():
        effects = [effect for edit in EDITS if (effect := has_effect(kind, nodes[field], found, edit)) is not None]
        inert += [] if all(effects) else [field]
        untried += [] if effects or nodes[field]["type"] in ("object", "array") else [field]

    assert (inert, untried) == ([], [])


def has_effect(kind: str, node: Json, found: list[Place], edit: Edit) -> bool | None:
    """Tell whether something else follows from any such edit of a field; None where each is refused."""
    effect = None
    for place in found:
        for edited in edit(node, place):
            if (after := leaves.follows(kind, edited)) is not None:
                if after != leaves.follows(kind, place[0]):
                    return True
                effect = False
    return effect


def world(kind: str, spec: Json, before: Any = None) -> Any:
    """Return the world of a resource with this spec, after an edit of what there was `before`.

    A KafkaConnection's is that of the workers that use it, by what it accepted, as it makes nothing itself.
    """
    if kind == "KafkaConnection":
        accepted = {"accepted": {"generation": 1, "spec": spec}}
        kafka = dataclasses.replace(leaves.resource(kind, spec), status=accepted)
        return dataclasses.replace(before or worlds.connect_world(), kafka=kafka)
    own = leaves.resource(kind, spec)
    made = before or statuses.WORLDS[kind]()
    seen: dict[str, Any] = {}
    if kind == "Connector":
        keys = needs.connector_keys(spec)
        secrets = {**made.secrets, **{one: SecretSeen(name=one, keys=keys) for one in needs.connector_named(spec)}}
        seen = {"secrets": secrets, "readable": frozenset(secrets), "validation": Validation(errors=())}
    if kind == "ConnectCluster":
        known = frozenset(key for _, key in rest.keys(rest.in_force(own)))
        given = {one: SecretSeen(name=one, keys=known) for one in needs.workers_secrets(spec)}
        seen = {"secrets": {**made.secrets, **given}}
    if kind == "Consumer":
        read = sources.in_force(own, worlds.CONNECTOR)
        seen = {"topics": {**made.topics, **{name: TopicSeen(name=name, partitions=12, replicas=3) for name in read}}}
    return statuses.changed(made, spec=own.spec, generation=made.resource.generation + 1, **seen)


def settled(seen: Any) -> tuple[Any, Plan]:
    """Return the world after as many passes as there is something to do, and the last plan."""
    for _ in range(5):
        plan = statuses.planned(seen)
        seen = statuses.acted(seen, plan)
        if not plan.actions:
            return seen, plan
    raise AssertionError(f"it does not settle: {plan.actions}")


def made(seen: Any, field: str) -> Any:
    """Return what there is in a world: of a Consumer's replicas nothing after an edit of `scale`, as time decides.

    A Snapshot makes nothing that an edit could change.
    """
    if isinstance(seen, ConnectorWorld):
        assert isinstance(seen.seen, ConnectorSeen)
        return seen.seen.config, seen.seen.state
    if isinstance(seen, SnapshotWorld):
        return None
    every = {**seen.children.objects}
    if isinstance(seen, ConnectClusterWorld):
        assert isinstance(seen.agent, Children)
        assert isinstance(seen.loggers, Mapping)
        every |= {**seen.agent.objects, **{("loggers", at): _levels(one) for at, one in seen.loggers.items()}}
    objects = {at: one for at, one in every.items() if at[0] != "ConfigMap"}
    if not field.startswith("scale"):
        return objects
    return {at: _unscaled(one) for at, one in objects.items()}


def _levels(seen: LoggersSeen | Unknown) -> dict[str, str]:
    """Return the loggers that have another level than what they would inherit."""
    assert isinstance(seen, LoggersSeen)
    return {name: level for name, level in seen.levels.items() if level != inherited(seen.levels, name)}


def _unscaled(one: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of an object how many replicas it asks for, with the mark of what was applied, and has."""
    notes = {name: text for name, text in one["metadata"].get("annotations", {}).items() if name != APPLIED}
    metadata, spec = {**one["metadata"], "annotations": notes}, {**one.get("spec", {}), "replicas": None}
    return {**one, "metadata": metadata, "spec": spec, "status": None}


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.sweep)])
@KINDS
def test_an_edit_and_its_reverse_leave_what_was_never_edited_has(kind: str, step: int) -> None:
    """A field is unset, or has another value, and then its own: nothing is left behind, or made at the creation alone.

    What is refused for what there is already changes nothing.
    """
    nodes = leaves.fields(kind)
    plain: dict[int, Any] = {}
    for field, found in list(leaves.places(kind).items())[::step]:
        spec = found[0][0]
        edits = (edited for edit in EDITS for edited in edit(nodes[field], found[0]))
        edited = next((one for one in edits if leaves.follows(kind, one) is not None), None)
        if edited is None:
            continue
        before = plain[id(spec)] = plain.get(id(spec)) or settled(world(kind, spec))[0]
        after, plan = settled(world(kind, edited, before))
        wanted = before if leaves.refusal(plan) else settled(world(kind, edited))[0]
        assert made(after, field) == made(wanted, field), field
        assert made(settled(world(kind, spec, after))[0], field) == made(before, field), field


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.sweep)])
@KINDS
def test_a_value_at_a_bound_is_judged_alike_by_schema_and_plan(kind: str, step: int) -> None:
    """The one refuses what the other does; what the plan alone refuses it refuses by its field; nothing is a bug."""
    nodes = leaves.fields(kind)
    for field, found in list(leaves.places(kind).items())[::step]:
        spec, path = found[0]
        for edge in leaves.edges(nodes[field], leaves.value(spec, path)):
            told = leaves.refusal(leaves.first(kind, templates.changed(spec, path, edge)))
            if Draft202012Validator(nodes[field]).is_valid(edge):
                assert told is None or told.startswith("spec."), (field, edge, told)
            elif not leaves.is_bound_by_the_schema_alone(nodes[field], edge):
                assert told is not None, (field, edge)
