"""Observing the levels of the loggers: each worker has its own, so each is asked, and only where it matters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from headrace_operator.observed.connect import LoggersSeen
from headrace_operator.observed.kube import Children, Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import log_levels, rest
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.remote import Remote


async def told(resource: Resource, remote: Remote) -> Mapping[str, LoggersSeen | Unknown] | Unknown:
    """Read the loggers of each worker that has an address; nobody is asked while nothing is to be set or given back."""
    if not log_levels.matter(resource):
        return {}
    children = await ask(remote.near.children(resource.namespace, "", (), f"headrace.dev/connect={resource.name}"))
    if not isinstance(children, Children):
        return children
    workers = [rest.worker(resource, pod.ip) for pod in children.pods if pod.ip]
    return await _asked(resource, remote, workers)


async def _asked(
    resource: Resource, remote: Remote, workers: Iterable[str]
) -> Mapping[str, LoggersSeen | Unknown] | Unknown:
    entered = await ask(_enter(resource, remote, workers))
    if isinstance(entered, Unknown):
        return entered
    found = await asyncio.gather(*(ask(remote.connect.loggers(url)) for url in workers))
    return dict(zip(workers, found, strict=True))


async def _enter(resource: Resource, remote: Remote, workers: Iterable[str]) -> None:
    """Have each worker entered as their Service is: its certificate is for them all, and their login is one."""
    if (protected := rest.in_force(resource)) is not None:
        entrance = await remote.entrances.open(rest.url(resource), resource.namespace, protected)
        for url in workers:
            remote.connect.enter(url, entrance)
