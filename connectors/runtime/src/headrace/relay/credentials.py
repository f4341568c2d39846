"""How a relay shows itself to its database, and knows it: files of Secrets, read at each connect."""

from __future__ import annotations

import os

from headrace import mounted, outbox
from headrace.config import Tls

SYSTEM, OVERRIDE = "/etc/ssl/certs/ca-certificates.crt", "SSL_CERT_FILE"
"""Debian's authorities, and OpenSSL's variable for others: the OpenSSL that a driver brings has none of its own."""


def login(settings: outbox.Database) -> tuple[str, str]:
    """Return user name and password as they are mounted now; raises ``OSError``."""
    return mounted.text(settings.username_file), mounted.text(settings.password_file)


def authorities(tls: Tls) -> str:
    """Return the file of those who vouch for the database, where it is of use; raises ``OSError``."""
    path = tls.ca_file or os.environ.get(OVERRIDE) or SYSTEM
    mounted.authority(path)
    return path


def pair(tls: Tls) -> tuple[str, str] | None:
    """Return the files of the client certificate and its key, where they are of use; raises ``OSError``."""
    if not (tls.certificate_file and tls.key_file):
        return None
    mounted.pair(tls.certificate_file, tls.key_file)
    return tls.certificate_file, tls.key_file
