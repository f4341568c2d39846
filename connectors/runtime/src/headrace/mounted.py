"""What mounted Secrets hold, read when it is used; what is of no use is told by its place, without what it says."""

from __future__ import annotations

import ssl
from pathlib import Path


def text(path: str) -> str:
    """Return a user name or a password, without the newlines at its end; raises ``OSError``."""
    try:
        return Path(path).read_bytes().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise OSError(f"{path} is not text: name the key of the Secret that holds text") from error


def authority(path: str) -> bytes:
    """Return the certificates at ``path``, which a client would take; raises ``OSError``."""
    found = Path(path).read_bytes()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise OSError(f"{path} holds no certificates as PEM: {error.reason}") from error
    return found


def pair(certificate: str, key: str) -> bytes:
    """Return a certificate and its key, which a client would take; raises ``OSError``.

    While both are replaced they may not match.
    """
    found = Path(certificate).read_bytes() + Path(key).read_bytes()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise OSError(f"{certificate} and {key} are no certificate with its own key as PEM: {error.reason}") from error
    return found
