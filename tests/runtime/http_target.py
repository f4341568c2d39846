"""A web service that consumer processes push records to, in the test's own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.runtime.history import Effect


class Target:
    """A web service that notes what it took; ``refuses`` are keys that it answers with 500, all of them for None.

    Records of the keys that it ``rejects`` are not wanted (422). While it ``is_away`` it ends connections without an
    answer. Who posts to a path of its own is known as another process. A record's value is its number.
    """

    def __init__(self, port: int, refuses: set[str] | None) -> None:
        self.refuses = refuses
        self.rejects: set[str] = set()
        self.is_away = False
        self.taken: list[Effect] = []
        self.times: list[float] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())

    def _handler(target) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                number = int(self.rfile.read(int(self.headers["content-length"])))
                key = self.headers["ce-subject"]
                if target.is_away:
                    self.close_connection = True
                    return
                target.times.append(time.monotonic())
                refused = target.refuses is None or key in target.refuses
                rejected = key in target.rejects
                if not refused and not rejected:
                    target.taken.append(Effect(key, number, self.path.strip("/"), time.time()))
                self.send_response(500 if refused else 422 if rejected else 204)
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
