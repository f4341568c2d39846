"""Logging in to Kafka: what the client says in turn with the broker, as a generator of steps, and how TLS is spoken.

Source: RFC 4616 (PLAIN), 5802 and 7677 (SCRAM), 7628 (OAUTHBEARER). Each step is what to send; what came is sent in.
Raises ``ValueError`` for a broker that does not prove that it knows the password, or asks for what no Kafka does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import ssl
from collections.abc import Generator, Mapping

Steps = Generator[bytes, bytes, None]

MOST_ROUNDS = 16_384
"""Rounds of hashing that a broker may ask for: as many as Kafka stores at most."""

UNDERSTOOD = {
    "sasl.mechanism", "sasl.username", "sasl.password", "ssl.ca.pem", "ssl.certificate.pem", "ssl.cipher.suites",
    "ssl.curves.list", "ssl.endpoint.identification.algorithm", "ssl.key.pem", "ssl.sigalgs.list",
}  # fmt: skip
"""Properties of logins and of TLS that are followed here, or that only say which of several ways is offered."""

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


def understands(properties: Mapping[str, str]) -> bool:
    """Tell whether a login by these ``properties`` of librdkafka can be made here."""
    own = {name for name in properties if name.startswith(("sasl.", "ssl."))}
    return own <= UNDERSTOOD and properties.get("sasl.mechanism", "PLAIN") in {"PLAIN", "OAUTHBEARER", *HASHES}


def steps(mechanism: str, username: str, password: str) -> Steps:
    """Return the steps of a login; of ``mechanism`` it is known that it is understood."""
    if mechanism == "PLAIN":
        return _plain(username, password)
    return _scram(HASHES[mechanism], username, password, base64.b64encode(secrets.token_bytes(24)).decode())


def bearer(token: str) -> Steps:
    """Return the steps of a login by a token, of which a broker that refuses it says why (RFC 7628)."""
    if (yield f"n,,\1auth=Bearer {token}\1\1".encode()):
        yield b"\1"


def context(properties: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return how TLS is spoken by ``properties`` of librdkafka, and None where it is not."""
    if not properties.get("security.protocol", "").endswith("SSL"):
        return None
    made = ssl.create_default_context(cadata=properties.get("ssl.ca.pem"))
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as librdkafka: authorities of old lack what it asks for
    made.check_hostname = properties.get("ssl.endpoint.identification.algorithm") != "none"
    if ciphers := properties.get("ssl.cipher.suites"):
        made.set_ciphers(ciphers)
    if certificate := properties.get("ssl.certificate.pem"):
        _show(made, f"{certificate}\n{properties['ssl.key.pem']}\n")
    return made


def _show(made: ssl.SSLContext, pair: str) -> None:
    """Let a client show a certificate with its key: Python reads it from a file only, here one that is in memory."""
    with open(os.memfd_create("certificate"), "w", encoding="utf-8") as file:
        file.write(pair)
        file.flush()
        made.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")


def _plain(username: str, password: str) -> Steps:
    yield f"\0{username}\0{password}".encode()


def _scram(algorithm: str, username: str, password: str, nonce: str) -> Steps:
    name = username.replace("=", "=3D").replace(",", "=2C")
    mine = f"n={name},r={nonce}"
    first = (yield f"n,,{mine}".encode()).decode()
    said = _said(first)
    if not said.get("r", "").startswith(nonce) or not 0 < int(said.get("i", "0")) <= MOST_ROUNDS:
        raise ValueError("the broker's challenge is none of SCRAM")
    salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), base64.b64decode(said.get("s", "")), int(said["i"]))
    key = _signed(algorithm, salted, "Client Key")
    whole = f"{mine},{first},c=biws,r={said['r']}"
    signature = _signed(algorithm, hashlib.new(algorithm, key).digest(), whole)
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    last = yield f"c=biws,r={said['r']},p={base64.b64encode(proof).decode()}".encode()
    expected = _signed(algorithm, _signed(algorithm, salted, "Server Key"), whole)
    if not hmac.compare_digest(base64.b64decode(_said(last.decode()).get("v", "")), expected):
        raise ValueError("the broker did not prove that it knows the password")


def _said(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in text.split(","))}


def _signed(algorithm: str, key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), algorithm).digest()
