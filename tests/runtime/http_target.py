"""A web service that consumer processes push records to, in the test's own process; it fails as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Literal

from tests.runtime.history import Effect

Fault = Literal["shut", "closes", "hangs", "throttles", "drips"]
"""It takes no connection; ends it without an answer; gives none; answers 503 with Retry-After; or says 102 for ever.

In each case it takes nothing.
"""

DRIP = 0.2
"""Seconds between two times of saying so."""


class Target:
    """A web service that notes what it took; ``refuses`` are keys that it answers with 500, all of them for None.

    Records of the keys that it ``rejects`` are not wanted (422). Who posts to a path of its own is known as another
    process. A record's value is its number. ``beside`` has of each request that did not fail how many others were
    being taken at that time.
    """

    def __init__(self, port: int, refuses: set[str] | None) -> None:
        self.refuses = refuses
        self.rejects: set[str] = set()
        self.taken: list[Effect] = []
        self.times: list[float] = []
        self.beside: list[int] = []
        self._port = port
        self._fault: Fault | None = None
        self._open = 0
        self._counting = threading.Lock()
        self._listen()

    def fail(self, fault: Fault) -> None:
        """Fail from now on, in this way and no longer in another."""
        self.recover()
        self._fault = fault
        if fault == "shut":
            self.close()

    def recover(self) -> None:
        """Fail no longer."""
        before, self._fault = self._fault, None
        if before == "shut":
            self._listen()

    def close(self) -> None:
        """Take no connection any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _listen(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _take(self, key: str, number: int, process: str) -> int:
        """Note a request and return the status of its answer."""
        self.times.append(time.monotonic())
        if self.refuses is None or key in self.refuses:
            return 500
        if key in self.rejects:
            return 422
        self.taken.append(Effect(key, number, process, time.time()))
        return 204

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a request among those that are taken at the same time; what hung before may take a while to end."""
        with self._counting:
            self.beside.append(self._open)
            self._open += 1
        try:
            yield
        finally:
            with self._counting:
                self._open -= 1

    def _keep_waiting(self, answer: BufferedIOBase, fault: Fault | None) -> None:
        """Give no final answer, for as long as the fault lasts and the client waits."""
        while fault in ("hangs", "drips") and self._fault == fault:
            time.sleep(DRIP)
            try:
                answer.write(b"HTTP/1.1 102 Processing\r\n\r\n" if fault == "drips" else b"")
            except OSError:
                return

    def _handler(target) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                number = int(self.rfile.read(int(self.headers["content-length"])))
                if (fault := target._fault) is None:
                    with target._counted():
                        self._answer(target._take(self.headers["ce-subject"], number, self.path.strip("/")))
                elif fault == "throttles":
                    self._answer(503)
                else:
                    self.close_connection = True
                    target._keep_waiting(self.wfile, fault)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                if status == 503:
                    self.send_header("retry-after", "1")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving(port: int, refuses: set[str] | None) -> Iterator[Target]:
    """Serve on a port of loopback until the end of the ``with``."""
    target = Target(port, refuses)
    try:
        yield target
    finally:
        target.recover()
        target.close()
