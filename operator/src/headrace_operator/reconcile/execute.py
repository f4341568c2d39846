"""Each action of a plan as one write. Nothing here decides."""

from __future__ import annotations

import asyncio

from headrace_operator.clients import fence
from headrace_operator.clients.errors import Invalid, Unreachable
from headrace_operator.clients.kafka import ANSWER, Kafka
from headrace_operator.clients.kafka import DEADLINE as SENT
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import actions
from headrace_operator.reconcile.remote import Remote

DEADLINE = 15.0
"""Seconds that an action may take with its answer; that of Kafka Connect hangs on a database."""

BEGIN = 5.0
"""Seconds that must be left of the Lease before an action begins: within them its write is sent, or is not at all."""

WRITE = ANSWER
"""Seconds of those that making or altering a topic itself may take; what Kafka was asked cannot be taken back."""

OfObject = actions.Apply | actions.Remove
Topic = actions.CreateTopic | actions.AlterTopic | actions.GrowTopic | actions.SendSignal
OfConnector = (
    actions.PutConnector | actions.SetState | actions.RestartConnector | actions.ChangeOffsets | actions.RemoveConnector
)


async def execute(action: actions.Action, remote: Remote) -> None:
    """Do ``action`` within `DEADLINE`; raises `HeadraceError`."""
    try:
        async with asyncio.timeout(DEADLINE):
            await _do(action, remote)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {DEADLINE:.0f} s") from error


async def _do(action: actions.Action, remote: Remote) -> None:
    if isinstance(action, Topic):
        await _do_topic(action, await _kafka(action, remote))
    elif isinstance(action, OfConnector):
        await _do_connector(action, remote)
    elif isinstance(action, actions.SetLogLevel):
        await remote.connect.set_log_level(action.url, action.logger, action.level)
    else:
        await _do_object(action, remote)


def told(action: actions.Action) -> str:
    """Return what ``action`` does, for the log."""
    if isinstance(action, Topic):
        return _told_topic(action)
    if isinstance(action, OfConnector):
        return _told_connector(action)
    match action:
        case actions.SetLogLevel(url=url, logger=logger, level=level):
            return f"set logger {logger} to {level} at {url}"
        case actions.Apply(manifest=manifest):
            return f"apply {manifest['kind']} {manifest['metadata']['name']}"
        case actions.Remove(kind=kind, name=name):
            return f"remove {kind} {name}"


async def _do_object(action: OfObject, remote: Remote) -> None:
    match action:
        case actions.Apply(manifest=manifest):
            await remote.kube.apply(manifest)
        case actions.Remove(kind=kind, namespace=namespace, name=name, uid=uid):
            await remote.kube.remove_child(kind, namespace, name, uid)


async def _do_connector(action: OfConnector, remote: Remote) -> None:
    match action:
        case actions.PutConnector(url=url, connector=name, config=config, initial=initial):
            await remote.connect.put(url, name, config, initial)
        case actions.SetState(url=url, connector=name, verb=verb):
            await remote.connect.set_state(url, name, verb)
        case actions.RestartConnector(url=url, connector=name, only_failed=only_failed):
            await remote.connect.restart(url, name, only_failed=only_failed)
        case actions.ChangeOffsets(url=url, connector=name, offsets=offsets):
            await remote.connect.change_offsets(url, name, offsets)
        case actions.RemoveConnector(url=url, connector=name):
            await remote.connect.remove(url, name)


def _told_connector(action: OfConnector) -> str:
    match action:
        case actions.PutConnector(connector=name):
            return f"configure connector {name}"
        case actions.SetState(connector=name, verb=verb):
            return f"{verb} connector {name}"
        case actions.RestartConnector(connector=name):
            return f"restart connector {name}"
        case actions.ChangeOffsets(connector=name, offsets=offsets):
            return f"{'reset' if offsets is None else 'set'} the offsets of connector {name}"
        case actions.RemoveConnector(connector=name):
            return f"remove connector {name}"


async def _do_topic(action: Topic, kafka: Kafka) -> None:
    fence.check(_told_topic(action), SENT)
    match action:
        case actions.CreateTopic(topic=topic, partitions=partitions, config=config, replicas=replicas):
            await kafka.create(topic, partitions, config, replicas)
        case actions.AlterTopic(topic=topic, config=config):
            await kafka.alter(topic, config)
        case actions.GrowTopic(topic=topic, partitions=partitions):
            await kafka.grow(topic, partitions)
        case actions.SendSignal(topic=topic, key=key, value=value):
            await kafka.send(topic, value.encode(), key.encode())


def _told_topic(action: Topic) -> str:
    match action:
        case actions.CreateTopic(topic=topic, partitions=partitions):
            return f"create topic {topic} with {partitions} partitions"
        case actions.AlterTopic(topic=topic, config=config):
            return f"set {', '.join(f'{name}={value}' for name, value in config.items())} of topic {topic}"
        case actions.GrowTopic(topic=topic, partitions=partitions):
            return f"add partitions to topic {topic} up to {partitions}"
        case actions.SendSignal(topic=topic):
            return f"send a signal to topic {topic}"


async def _kafka(action: Topic, remote: Remote) -> Kafka:
    async with asyncio.timeout(DEADLINE - WRITE):
        connection = await remote.kube.resource("KafkaConnection", action.namespace, action.kafka)
        if not isinstance(connection, Resource):
            raise Invalid(f"There is no KafkaConnection {action.kafka} in namespace {action.namespace}: create it.")
        return await remote.kafkas.open(connection)
