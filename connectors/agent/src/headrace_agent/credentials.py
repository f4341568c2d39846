"""User names, passwords and certificates of mounted Secrets, read at each connect, so that a change is followed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from headrace_agent.declared import Login, Tls
from headrace_agent.unseen import Unseen


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Who logs in, and as whom; a trailing newline of either file is no part of it."""

    user: str
    password: str = field(repr=False)


def read(login: Login) -> Credentials:
    """Read the login's files; raises `Unseen` naming Secret and file, and nothing of what is in it."""
    return Credentials(user=_text(login.username_file, login.secret), password=_text(login.password_file, login.secret))


def check(tls: Tls) -> None:
    """Raise `Unseen` naming a file of certificates that cannot be read."""
    for file in (tls.ca_file, tls.certificate_file, tls.key_file):
        if file is not None and not os.access(file, os.R_OK):
            raise Unseen("SecretMissing", f"The file {file} of certificates is not there, or cannot be read.")


def _text(file: str, secret: str) -> str:
    try:
        text = Path(file).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Unseen("SecretMissing", f"The file {file} of the Secret {secret} cannot be read: {why}.") from None
    if not text or "\0" in text:
        raise Unseen("SecretMissing", f"The file {file} of the Secret {secret} is empty, or has a zero byte.")
    return text
