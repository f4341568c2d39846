"""The agent as a process: it answers of each source, of which one hangs, tells no password, and ends on SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace_agent import declared, places, told
from headrace_agent.told import Seen, Unknown
from tests.agent.declarations import declaration, source
from tests.agent.process import DECLARATION, begun
from tests.agent.silence import silent
from tests.agent.sources.postgres.shop import Shop
from tests.canaries import Canary, seen
from tests.ports import free_ports
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow


class Agent:
    """A running agent, asked as the operator and Prometheus ask it."""

    def __init__(self, process: subprocess.Popen[bytes], ports: list[int]) -> None:
        self.process = process
        self._ports = ports

    def get(self, path: str) -> str:
        """Return what it answers."""
        port = self._ports[1] if path == places.METRICS else self._ports[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def sources(self) -> dict[str, told.Postgres]:
        """Return what it tells of each source; nothing while it does not answer yet."""
        try:
            return {one.name: one for one in told.load(self.get(places.SOURCES)).sources}
        except OSError:
            assert self.process.poll() is None
            return {}


@contextmanager
def running(declaration: declared.Declaration, folder: Path) -> Iterator[Agent]:
    """Run an agent, with its log in ``folder``."""
    (folder / DECLARATION).write_text(declared.dump(declaration))
    ports = free_ports(2)
    process = begun(folder, ports)
    try:
        yield Agent(process, ports)
    finally:
        process.kill()
        process.wait(PATIENCE)


def _is_seen(agent: Agent, name: str) -> bool:
    return name in (found := agent.sources()) and isinstance(found[name].login, Seen)


def test_one_that_hangs_delays_no_other_and_all_end_on_sigterm(shop: Shop, tmp_path: Path) -> None:
    with silent() as port:
        every = declaration(shop.declared(name="orders-db"), shop.declared(name="hangs", port=port))
        with running(every, tmp_path) as agent:
            until("the source that answers", lambda: _is_seen(agent, "orders-db"))
            hangs = agent.sources()["hangs"].login

            assert agent.get(places.HEALTH)
            agent.process.send_signal(signal.SIGTERM)
            assert agent.process.wait(PATIENCE) == 0

    assert isinstance(hangs, Unknown)
    assert hangs.cause in ("NotLooked", "NotReached")


def test_a_secret_that_comes_later_is_followed_and_no_password_is_told(shop: Shop, tmp_path: Path) -> None:
    (shop.folder / "password").rename(shop.folder / "kept")
    every = declaration(shop.declared(), source("away", login=shop.declared().login, host="127.0.0.1", port=1))
    with running(every, tmp_path) as agent:
        until("the first look", lambda: agent.sources().get("orders-db") and agent.sources()["orders-db"].looked_at)
        missing = agent.sources()["orders-db"].login
        (shop.folder / "password").write_text("refused-" + shop.password)
        until("a refusal", lambda: getattr(agent.sources()["orders-db"].login, "cause", "") == "LoginRefused")
        left = {"before": agent.get(places.SOURCES)}
        (shop.folder / "kept").rename(shop.folder / "password")
        until("a login", lambda: _is_seen(agent, "orders-db"))
        left |= {path: agent.get(path) for path in (places.SOURCES, places.METRICS)}
    left["log"] = (tmp_path / "log").read_text()

    assert isinstance(missing, Unknown)
    assert missing.cause == "SecretMissing"
    assert (
        'headrace_source_up{connect_cluster="main",connector="orders-db",resource_namespace="shop"} 1.0'
        in left[places.METRICS]
    )
    assert seen([Canary(place="password", value=shop.password)], left) == []


def test_what_it_answers_names_the_declaration(tmp_path: Path) -> None:
    every = declaration()
    with running(every, tmp_path) as agent:
        until("an answer", lambda: (tmp_path / "log").read_text().count("looking at 0 sources"))

        assert told.load(agent.get(places.SOURCES)) == told.Told(declaration=declared.digest(every), sources=())


def test_a_declaration_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    settings = os.environ | {places.DECLARATION_VARIABLE: str(tmp_path / "none")}
    words = [sys.executable, "-m", "headrace_agent"]
    ended = subprocess.run(words, env=settings, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "the declaration cannot be read" in ended.stdout
