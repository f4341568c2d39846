"""A crowd settles from nothing, and is at rest: how long it took, and what it costs; one operator a namespace.

API server and etcd are real. Kafka and the workers of Kafka Connect are fakes; Kafka's is in the operator's process.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from headrace_operator.clients.api import Api, connection, path
from headrace_operator.reconcile.lease import NAME, VERSION
from tests.cluster.fast import ApiServer
from tests.fakes.connect import FakeConnect
from tests.operator import crowd, scraped
from tests.operator.operator_process import Operator, kubectl, operator

CONNECTS = 10
LONGEST = 3600.0
"""Seconds within which a crowd must settle, else there is nothing to tell."""

CALM = 60.0
"""Seconds between the moment when all is Ready and the rest that is measured."""

SCRAPE = 30.0
"""Seconds between two readings of each metrics page, as Prometheus takes them."""

SOON = 15.0
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
NO_CHANGE = (" leases", " endpoints", " endpointslices")
LABEL = re.compile(r'(\w+)="([^"]*)"')
NUMBER = re.compile(r"\d+")
SERVED = "apiserver_request_total"


class BenchError(Exception):
    """A run that says nothing about the operator."""


@dataclass(kw_only=True)
class Crowd:
    """A crowd with its operators, as it runs."""

    server: ApiServer
    api: Api
    places: Sequence[str]
    fakes: Sequence[FakeConnect] = ()
    operators: list[Operator] = field(default_factory=list)

    async def pages(self) -> list[list[str]]:
        """Read every operator's page."""
        return [await scraped.page(one.metrics_port) for one in self.operators]


async def measured(server: ApiServer, folder: Path, *, size: int, rest: float, shards: int = 1) -> dict[str, float]:
    """Return the figures of ``size`` Connectors and Consumers in each of ``shards`` namespaces."""
    places = [crowd.PLACE if shards == 1 else f"{crowd.PLACE}{number}" for number in range(shards)]
    async with AsyncExitStack() as stack:
        api = crowd.Patient(await connection(str(server.kubeconfig)))
        stack.push_async_callback(api.close)
        here = Crowd(server=server, api=api, places=places)
        here.fakes = await crowd.connects(stack, CONNECTS, places)
        for place in places:
            print(f"create {2 * size:,} Connectors and Consumers in {place}", flush=True)
            await asyncio.to_thread(crowd.prepare, server, place)
            await crowd.create(api, crowd.resources(size, CONNECTS, place))
            await stack.enter_async_context(crowd.rolling_out(api, place))
        begun = time.monotonic()
        for place in places:
            running = operator(server, folder, name=place, program=crowd.PROGRAM, place=place, watched=place)
            here.operators.append(stack.enter_context(running))
        settled = await settle(here, begun)
        worked = _sum(await here.pages(), scraped.CPU)
        await asyncio.sleep(CALM)
        figures = await _at_rest(here, rest)
        print(f"failures: {_told_failures(here)}", flush=True)
        return {"settled s": settled, "processor s until then": worked, **figures}


async def settle(here: Crowd, begun: float) -> float:
    """Wait until everything is Ready, and return how long that took since ``begun``."""
    while True:
        missing = [one for place in here.places for one in (await crowd.unready(here.api, place)).items()]
        seconds = time.monotonic() - begun
        if not missing:
            return seconds
        counts = Counter(f"{name.split()[0]} {reason}" for name, reason in missing)
        print(f"{seconds:5.0f} s: {dict(counts)}", flush=True)
        ended = [one.log for one in here.operators if one.process.poll() is not None]
        if ended or seconds > LONGEST:
            log = (ended or [one.log for one in here.operators])[0].read_text()[-3000:]
            raise BenchError(f"not settled after {seconds:.0f} s: {dict(counts)}\n{log}")
        await asyncio.sleep(5)


async def _at_rest(here: Crowd, seconds: float) -> dict[str, float]:
    asked = sum(len(one.requests) for one in here.fakes)
    served = await asyncio.to_thread(_served, here.server)
    before, begun = await here.pages(), time.monotonic()
    pages, memory, delay, led = before, 0.0, 0.0, 1.0
    while (left := begun + seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(SCRAPE, left))
        pages = await here.pages()
        memory = max(memory, _sum(pages, scraped.MEMORY))
        delay = max(delay, *(scraped.total(page, scraped.DELAY) for page in pages))
        led = min(led, *(scraped.total(page, scraped.LEADER) for page in pages))
        took = time.monotonic() - begun
        cores = (_sum(pages, scraped.CPU) - _sum(before, scraped.CPU)) / took
        print(f"at rest for {took:.0f} s of {seconds:.0f}: {cores:.2f} cores, latest look {delay:.1f} s", flush=True)
    served, took = await asyncio.to_thread(_served, here.server) - served, time.monotonic() - begun
    asked = sum(len(one.requests) for one in here.fakes) - asked
    return {
        "cores": (_sum(pages, scraped.CPU) - _sum(before, scraped.CPU)) / took,
        "MiB": memory / 2**20,
        "writes": _written(served),
        "looks within 15 s, share": soon(before, pages),
        "latest look s": delay,
        "failed passes": sum(_sum(pages, scraped.PASSES, outcome=word) for word in ("failed", "bug")),
        "times the Lease was lost": await _lost(here) + (led < 1),
        "requests/s to the API server": served.total() / took,
        "requests/s to Kafka Connect": asked / took,
    }


def _told_failures(here: Crowd) -> dict[str, int]:
    """Count the passes that failed by what the operators' logs say of them, without names."""
    lines = (line for one in here.operators for line in one.log.read_text().splitlines() if "; again in" in line)
    return dict(Counter(NUMBER.sub("N", line.partition("msg=")[2])[:200] for line in lines).most_common(10))


def _served(server: ApiServer) -> Counter[str]:
    """Count the API server's requests by verb and resource."""
    counts: Counter[str] = Counter()
    for line in kubectl(server, "get", "--raw", "/metrics").splitlines():
        if line.startswith(f"{SERVED}{{"):
            label = dict(LABEL.findall(line))
            counts[f"{label['verb']} {label['resource']}"] += int(float(line.rpartition(" ")[2]))
    return counts


def _written(served: Mapping[str, int]) -> int:
    """Tell of the changes, but for Leases and what the API server keeps of itself, and return how many there were."""
    changes = {what: n for what, n in served.items() if what.startswith(WRITES) and not what.endswith(NO_CHANGE)}
    print(f"at rest: {changes}", flush=True)
    return sum(changes.values())


def soon(before: Sequence[list[str]], after: Sequence[list[str]]) -> float:
    """Return which share of the looks at Consumers came within `SOON` of the one before."""

    def looks(bound: str) -> float:
        counts = [_sum(pages, scraped.INTERVALS, kind="Consumer", le=bound) for pages in (before, after)]
        return counts[1] - counts[0]

    return looks(str(SOON)) / max(1.0, looks("+Inf"))


async def _lost(here: Crowd) -> int:
    """Return how often a Lease has another holder than its first."""
    found = [await here.api.send("GET", path(VERSION, "Lease", place, NAME)) for place in here.places]
    return sum(int(one["spec"]["leaseTransitions"]) - 1 for one in found)


def _sum(pages: Sequence[list[str]], name: str, **labels: str) -> float:
    return sum(scraped.total(page, name, **labels) for page in pages)
