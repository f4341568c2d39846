"""Levels of a real worker's loggers, changed and given back while it runs, and what it logs meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import pytest

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.observed.kube import Children, PodSeen, Resource
from headrace_operator.plan import log_levels, rest
from headrace_operator.plan.log_levels import Decision
from headrace_operator.reconcile.execute import execute
from headrace_operator.reconcile.observe import log_levels as observe
from headrace_operator.reconcile.remote import Remote
from tests.connect_worker import ConnectWorker
from tests.contract.bench import Patient, RealBench, cleared, configuration, new_name, until
from tests.contract.test_connect import runs
from tests.operator import worlds
from tests.postgres_server import PostgresServer
from tests.waiting import PATIENCE, look_until

pytestmark = pytest.mark.slow

LOUD = {"io.debezium": "TRACE", "org.apache.kafka.clients": "DEBUG", "org.apache.kafka.connect": "TRACE"}


class Pods:
    """Says that there is one worker, at loopback."""

    async def children(self, *_: Any) -> Children:
        pod = {"name": "main-connect-1", "phase": "Running", "ready": True, "restarts": 0}
        return Children(
            objects={}, pods=(PodSeen(**cast(Any, pod), waiting_reason=None, message=None, ip="127.0.0.1"),)
        )


@pytest.fixture
async def remote(connect_worker: ConnectWorker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Remote]:
    """Give clients that find the worker where they look for the one of a pod."""
    monkeypatch.setattr(rest, "PORT", urlsplit(connect_worker.url).port)
    async with aiohttp.ClientSession() as session:
        pods, nobody = cast(Any, Pods()), cast(Any, None)
        others = dict.fromkeys(("kafkas", "entrances", "agents", "relays"), nobody)
        yield Remote(kube=pods, near=pods, connect=Patient(session, deadline=PATIENCE), **others)


def asking(levels: Mapping[str, str] | None, status: Mapping[str, Any]) -> Resource:
    """Return a ConnectCluster with these levels."""
    workers = {} if levels is None else {"logLevels": dict(levels)}
    return worlds.resource("ConnectCluster", "main", {"kafka": "kafka", "workers": workers}, status=status)


async def brought_about(remote: Remote, levels: Mapping[str, str] | None, status: Mapping[str, Any]) -> Decision:
    """Observe, decide, and act; return what is decided after that."""
    cluster = asking(levels, status)
    spec = ConnectClusterSpec.model_validate(cluster.spec)
    first = log_levels.decide(spec, await observe.told(cluster, remote), status.get("logLevelsAtStart") or {})
    for action in first.actions:
        await execute(action, remote)
    return log_levels.decide(spec, await observe.told(cluster, remote), first.at_start)


def lines(text: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a log, whose last line may not be whole yet."""
    yield from (json.loads(line) for line in text.splitlines()[:-1] if line.startswith("{"))


def loud(text: str) -> set[str]:
    """Return what logged more than INFO, as the loggers that are asked for."""
    found = {one["logger"] for one in lines(text) if one["level"] in ("DEBUG", "TRACE")}
    return {name for name in LOUD if any(one.startswith(name) for one in found)}


async def streams(bench: RealBench, connect: Patient) -> str:
    """Have a connector run and read a row; return the password that its Secret has."""
    name = new_name()
    config = configuration(bench, name)
    await connect.put(bench.url, config["name"], config)
    await until(connect, bench.url, config["name"], runs)
    bench.commit()
    await until(connect, bench.url, config["name"], lambda seen: bool(seen.offsets))
    return f"canary-of-{name}"


async def test_a_level_is_changed_and_given_back_while_the_worker_runs(
    connect_worker: ConnectWorker, postgres_server: PostgresServer, remote: Remote
) -> None:
    """No password is in what it logs meanwhile: neither one of a Secret nor that of the login to its REST interface."""
    connect, process = cast(Patient, remote.connect), connect_worker.process.pid
    before = await connect.loggers(connect_worker.url)
    begun = len(connect_worker.log)
    async with cleared(RealBench(connect_worker, postgres_server), connect) as bench:
        set_so = await brought_about(remote, LOUD, {})
        assert (set_so.actions, set_so.finding and set_so.finding.status) == ((), "True")
        login = {"Authorization": aiohttp.encode_basic_auth("operator", "canary-of-rest")}
        async with aiohttp.ClientSession(headers=login) as session, session.get(f"{bench.url}/connectors") as answer:
            assert answer.status == 200
        password = await streams(bench, connect)
        await look_until(lambda: loud(connect_worker.log[begun:]) == set(LOUD), lambda: asyncio.sleep(0.2))

        status = {"logLevelsAtStart": set_so.at_start}
        given_back = await brought_about(remote, None, status)
        assert (given_back.actions, given_back.finding, given_back.at_start) == ((), None, {})
        quiet = len(connect_worker.log)
        assert loud(connect_worker.log[begun:quiet]) == set(LOUD)
        await streams(bench, connect)
        later = connect_worker.log[quiet:]

    assert loud(later[later.index("\n") + 1 :]) == set()
    assert any(one["logger"].startswith("io.debezium") and one["level"] == "INFO" for one in lines(later))
    after = await connect.loggers(connect_worker.url)
    assert {name: after.levels[name] for name in before.levels} == dict(before.levels)
    assert connect_worker.process.pid == process
    assert connect_worker.process.poll() is None
    secrets = (password, "canary-of-rest", base64.b64encode(b"operator:canary-of-rest").decode())
    assert not [one for one in secrets if one in connect_worker.log]
