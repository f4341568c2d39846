"""Try the whole way of one record: into Kafka, through a Consumer that is made for it, and back here over HTTP.

What has to be given is little: an address of this process that the Consumer's pod reaches, and the rights of the
chart's test. It ends with one sentence either way.
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import Api, connection
from headrace_operator.clients.errors import Invalid, Retryable, Unauthorized
from headrace_operator.clients.kafka import Kafka
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.observed.value import Absent

NAME = "headrace-test"
"""The Consumer, and how its topic begins."""

KEPT = {"retention.ms": str(3_600_000)}
"""Settings of its topic: what went through is of no use to anybody."""

LOOK = 1.0
"""Seconds between two looks at a resource."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried: the KafkaConnection ``kafka`` of ``namespace``; Consumers reach this process at ``address``.

    ``address`` is an IP, ``port`` of it is served; it all has ``within`` seconds.
    """

    namespace: str
    kafka: str
    address: str
    port: int
    within: float

    @property
    def topic(self) -> str:
        """The topic that the record is written to."""
        return f"{NAME}.{self.namespace}"

    @property
    def url(self) -> str:
        """Where the Consumer's pod sends the record."""
        return str(URL.build(scheme="http", host=self.address, port=self.port, path="/"))

    def consumer(self) -> Manifest:
        """Return the Consumer that brings the record here."""
        spec = {
            "from": {"kafka": self.kafka, "topics": [self.topic]},
            "handler": {"http": {"url": self.url, "timeout": "10s"}},
            "delivery": {"onOffsetLost": "Earliest"},
        }
        meta = {"name": NAME, "namespace": self.namespace}
        return {"apiVersion": API_VERSION, "kind": "Consumer", "metadata": meta, "spec": spec}


async def run(trial: Trial, kubeconfig: str | None) -> str:
    """Move one record and return a sentence that says so; raises `HeadraceError` with one that says why not."""
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        api = Api(await connection(kubeconfig))
        stack.push_async_callback(api.close)
        kube = Kube(api)
        kafkas = Kafkas(kube)
        stack.callback(kafkas.close)
        record = uuid.uuid4().hex
        came = await stack.enter_async_context(_awaiting(trial.port, record))
        try:
            async with asyncio.timeout(trial.within):
                await _sent(trial, record, begun + trial.within, kube, kafkas)
                await _make_consumer(trial, kube, stack)
                await came.wait()
        except TimeoutError:
            raise Invalid(await _why_not(trial, kube)) from None
    way = f"from {trial.topic} of KafkaConnection {trial.kafka} through a Consumer's pod to this one"
    return f"A record went {way}, within {time.monotonic() - begun:.0f} s."


async def _sent(trial: Trial, record: str, end: float, kube: Kube, kafkas: Kafkas) -> None:
    """Write the record to the Kafka of the KafkaConnection, once the operator has looked at that; not after ``end``."""
    found = await _kafka(trial, kube)
    while not _is_looked_at(found):
        await asyncio.sleep(LOOK)
        found = await _kafka(trial, kube)
    if why := _unready(found):
        raise Invalid(why)
    kafka = await _opened(trial, found, kafkas)
    while True:
        try:
            await kafka.create(trial.topic, 1, KEPT)
            return await kafka.send(trial.topic, record.encode())
        except Retryable:
            if time.monotonic() + LOOK > end:
                raise
        await asyncio.sleep(LOOK)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Cancel what runs within by the first signal that asks for an end, so that it cleans up; raises `Invalid`.

    Later ones do not cancel that; and without a handler a process 1, as in a pod, is killed in the end.
    """
    task, asked = asyncio.current_task(), False
    assert task is not None

    def end() -> None:
        nonlocal asked
        if not asked:
            asked = task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        yield
    except asyncio.CancelledError:
        raise Invalid("It was asked to end before a record went through.") from None


async def _make_consumer(trial: Trial, kube: Kube, stack: AsyncExitStack) -> None:
    """Make the Consumer, which the end of ``stack`` removes: also when only the answer that it was made is lost."""
    refused = False
    try:
        await kube.apply(trial.consumer())
    except (Invalid, Unauthorized):
        refused = True
        raise
    finally:
        if not refused:
            stack.push_async_callback(kube.remove, "Consumer", trial.namespace, NAME)


async def _kafka(trial: Trial, kube: Kube) -> Resource:
    found = await kube.resource("KafkaConnection", trial.namespace, trial.kafka)
    if isinstance(found, Absent):
        raise Invalid(
            f"There is no KafkaConnection {trial.kafka} in namespace {trial.namespace}: make it, or name another "
            "(test.kafka and test.namespace of the chart)."
        )
    return found


async def _opened(trial: Trial, connection: Resource, kafkas: Kafkas) -> Kafka:
    try:
        return await kafkas.open(connection)
    except Unauthorized as error:
        text = f"The Secrets of KafkaConnection {trial.kafka} cannot be read: name them in test.secrets of the chart."
        raise Invalid(f"{text} ({error})") from error


def _is_looked_at(resource: Resource) -> bool:
    return resource.generation == resource.status.get("observedGeneration")


def _unready(resource: Resource) -> str | None:
    """Say why a resource is not ready; None where it is."""
    named = f"{resource.kind} {resource.name} in namespace {resource.namespace}"
    ready = resource.condition("Ready")
    if ready is None or not _is_looked_at(resource):
        return f"The operator does not look at {named}: see its log, and whether it watches that namespace."
    if ready["status"] == "True":
        return None
    return f"{named} is not ready ({ready['reason']}): {ready['message']}"


async def _why_not(trial: Trial, kube: Kube) -> str:
    """Say, of the KafkaConnection or else of the Consumer, why the record did not come in time."""
    for kind, name in (("KafkaConnection", trial.kafka), ("Consumer", NAME)):
        found = await kube.resource(kind, trial.namespace, name)
        if isinstance(found, Absent):
            return f"After {trial.within:.0f} s the record was not in Kafka yet: see Kafka's log and the operator's."
        if why := _unready(found):
            return f"No record went through within {trial.within:.0f} s: {why}"
        if (target := found.condition("TargetHealthy")) and target["status"] != "True":
            return f"The record did not get from the Consumer's pod to this one: {target['message']}"
    return (
        f"No record came within {trial.within:.0f} s, though all is ready: see the log of the Consumer's pod "
        f"(kubectl -n {trial.namespace} logs -l headrace.dev/consumer={NAME}), and NetworkPolicies around this one."
    )


@asynccontextmanager
async def _awaiting(port: int, record: str) -> AsyncIterator[asyncio.Event]:
    """Serve ``port`` of every address, and give what is set once ``record`` was posted there."""
    came = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        if (await request.read()).decode(errors="replace") == record:
            came.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        yield came
    finally:
        await runner.cleanup()
