"""A web service that consumer processes push records to, in the test's own process."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Target:
    """A web service that notes what it took; ``refuses`` are keys that it answers with 500, all of them for None."""

    def __init__(self, port: int, refuses: set[str] | None) -> None:
        self.refuses = refuses
        self.taken: dict[str, list[int]] = defaultdict(list)
        self.times: list[float] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())

    def _handler(target) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                number = int(self.rfile.read(int(self.headers["content-length"])))
                key = self.headers["ce-subject"]
                target.times.append(time.monotonic())
                refused = target.refuses is None or key in target.refuses
                if not refused:
                    target.taken[key].append(number)
                self.send_response(500 if refused else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving(port: int, refuses: set[str] | None) -> Iterator[Target]:
    """Serve on a port of loopback until the end of the ``with``."""
    target = Target(port, refuses)
    thread = threading.Thread(target=target.server.serve_forever)
    thread.start()
    try:
        yield target
    finally:
        target.server.shutdown()
        thread.join()
        target.server.server_close()
