"""The source agent's pod without a cluster: the real process, told by the ConfigMap that was planned for it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from headrace_agent import places
from headrace_operator.clients.agent import Agents
from headrace_operator.observed.kube import Children
from headrace_operator.plan import names
from tests.agent.process import DECLARATION, LOG, begun
from tests.operator.loops import Loopback
from tests.ports import free_ports
from tests.waiting import PATIENCE


@dataclass
class AgentPod:
    """A process in ``folder`` that finds Secrets below ``secrets``, and is replaced when its declaration changes."""

    folder: Path
    secrets: Path
    ports: tuple[int, int]
    process: subprocess.Popen[bytes] | None = None

    def follow(self, made: Children) -> None:
        """Run what is declared in ``made``, the objects of the ConnectCluster `main`."""
        found = made.objects.get(("ConfigMap", names.agent_child("main")))
        told = None if found is None else _moved(found["data"][Path(places.DECLARATION).name], self.secrets)
        if told == self._told() and self.process is not None:
            return
        self.end()
        if told is not None:
            self._declaration.write_text(told)
            self.process = begun(self.folder, self.ports)

    def end(self) -> None:
        """End the process, as the pod's deletion does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
        self.process = None

    @property
    def log(self) -> str:
        """Return what it wrote."""
        return (self.folder / LOG).read_text()

    @property
    def _declaration(self) -> Path:
        return self.folder / DECLARATION

    def _told(self) -> str | None:
        return self._declaration.read_text() if self._declaration.exists() else None


@contextmanager
def agent_pod(folder: Path, secrets: Path) -> Iterator[AgentPod]:
    """Give a pod that runs nothing yet, and leave none running."""
    one, other = free_ports(2)
    pod = AgentPod(folder=folder, secrets=secrets, ports=(one, other))
    try:
        yield pod
    finally:
        pod.end()


@asynccontextmanager
async def reached(pod: AgentPod) -> AsyncIterator[Agents]:
    """Give what the operator asks agents by, whose Service leads to ``pod``."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Loopback(pod.ports[0]))) as session:
        yield Agents(session, kept=0)


def _moved(declaration: str, secrets: Path) -> str:
    return declaration.replace(f'"{places.SECRETS}/', f'"{secrets}/')
