"""A provider of tokens on loopback, for tests: it takes a client's id and secret, and signs (RFC 6749, 4.4; RFC 7519).

It speaks TLS with a certificate of an authority of its own. openssl makes the key and signs.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.cluster import authority

AUDIENCE, ISSUER = "kafka", "https://provider.test"
LIFE = 300


@dataclass(kw_only=True)
class TokenProvider:
    """A running provider; ``clients`` are the secrets by id, of which the id is the token's subject.

    ``life`` is that of a token in seconds, ``given`` says whom tokens were given to, and ``instead`` is a status that
    is answered for now.
    """

    folder: Path
    endpoint: str = ""
    clients: dict[str, str] = field(default_factory=dict)
    life: int = LIFE
    given: list[str] = field(default_factory=list)
    instead: int | None = None

    @property
    def ca(self) -> Path:
        """The authority that its certificate is of."""
        return self.folder / "ca.crt"

    @property
    def keys(self) -> Path:
        """The key that its tokens are verified by, as Kafka reads it (RFC 7517)."""
        return self.folder / "keys.json"


@contextmanager
def providing(folder: Path) -> Iterator[TokenProvider]:
    """Run a provider until the end of the block, with its files in ``folder``."""
    authority.issue(folder, [authority.Certificate(file="provider", user="provider", serves=("127.0.0.1",))])
    key = folder / "signing.key"
    _openssl("genrsa", "-out", str(key), "2048")
    (folder / "keys.json").write_text(json.dumps({"keys": [_public(key)]}))
    provider = TokenProvider(folder=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider, key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "provider.crt", folder / "provider.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, name="provider", daemon=True).start()
    try:
        provider.endpoint = f"https://127.0.0.1:{server.server_address[1]}/token"
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def _handler(provider: TokenProvider, key: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            named, _, secret = _login(self.headers["authorization"]).partition(":")
            if provider.instead:
                self._answer(provider.instead, {"error": "temporarily_unavailable"})
            elif asked["grant_type"] != ["client_credentials"] or provider.clients.get(named) != secret:
                self._answer(401, {"error": "invalid_client"})
            else:
                token = signed(key, named, provider.life, " ".join(asked.get("scope", [])))
                provider.given.append(named)
                self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": provider.life})

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


def _login(header: str | None) -> str:
    return base64.b64decode((header or "").removeprefix("Basic ")).decode()


def signed(key: Path, subject: str, life: int, scope: str = "") -> str:
    """Return a token for ``subject`` that is good for ``life`` seconds."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + life, "jti": str(uuid.uuid4())}
    parts = ({"alg": "RS256", "typ": "JWT", "kid": "a"}, {**claims, **({"scope": scope} if scope else {})})
    text = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_encoded(_openssl('dgst', '-sha256', '-sign', str(key), text=text.encode()))}"


def _public(key: Path) -> dict[str, str]:
    modulus = _openssl("rsa", "-in", str(key), "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
    numbers = {"n": _encoded(bytes.fromhex(modulus)), "e": _encoded((65537).to_bytes(3, "big"))}
    return {"kty": "RSA", "kid": "a", "use": "sig", "alg": "RS256", **numbers}


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _openssl(*words: str, text: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=text, capture_output=True, check=True).stdout
