"""A real Redis on loopback, from Debian's package, in a temporary directory, for tests; it can be ended and come back.

It must not touch any server that Debian manages, and leaves nothing behind; killed tests leave only its folder.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError

from tests.cluster.fast import END_WITH_PARENT
from tests.ports import free_port
from tests.waiting import PATIENCE, until


class RedisServer:
    """A server on ``port`` of 127.0.0.1 that keeps what it was told over its own end; ``more`` are words of its own."""

    def __init__(self, folder: Path, more: Sequence[str] = ()) -> None:
        self._folder = folder
        self._more = more
        self.port = free_port()
        self._process = self._started()
        self._await_answer()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, username: str | None = None, password: str | None = None) -> Redis:
        """Return a client of its own."""
        return Redis(port=self.port, socket_timeout=PATIENCE, username=username, password=password)

    @contextmanager
    def away(self) -> Iterator[None]:
        """End the server and start it anew."""
        self.kill()
        try:
            yield
        finally:
            self._process = self._started()
            self._await_answer()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let the server accept connections and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)
            self._await_answer()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def _started(self) -> subprocess.Popen[bytes]:
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder))
        kept = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        with (self._folder / "log").open("ab") as out:
            words = [*END_WITH_PARENT, "redis-server", *where, *kept, *self._more]
            return subprocess.Popen(words, stdout=out, stderr=out)

    def _await_answer(self) -> None:
        until("an answer of Redis", self._answers)

    def _answers(self) -> bool:
        log = self._folder / "log"
        assert self._process.poll() is None, f"Redis ended; it said last:\n{log.read_text()[-2000:]}"
        try:
            with self.client() as client:
                return bool(client.ping())
        except AuthenticationError:
            return True
        except (ConnectionError, TimeoutError):
            return False


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis for one test."""
    with running() as server:
        yield server


@contextmanager
def running(*more: str) -> Iterator[RedisServer]:
    """Run a Redis with these words of its configuration."""
    if shutil.which("redis-server") is None:
        pytest.fail("Redis is not installed: run `make packages`")
    directory = Path(tempfile.mkdtemp(prefix="headrace-redis-"))
    try:
        server = RedisServer(directory, more)
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
