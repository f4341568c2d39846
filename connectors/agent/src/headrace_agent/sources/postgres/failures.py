"""What failures of PostgreSQL and its client mean. Pure.

libpq gives no SQLSTATE for a connection that failed, only its text; what the server refused has a severity in it.
Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re

import psycopg

from headrace_agent.declared import Postgres
from headrace_agent.told import Cause
from headrace_agent.unseen import Unseen

_SAID_BY_SERVER = re.compile(r"\b(?:FATAL|PANIC|ERROR):\s+(.*)", re.S)
_PASSING = re.compile(
    r"starting up|shutting down|recovery mode|not yet accepting|too many|connection slots|limit exceeded"
)
_TLS = re.compile(r"\bSSL\b|\bTLS\b|certificate|private key", re.I)
_UNKNOWN_HOST = re.compile(r"failed to resolve host|could not translate host name")


def of_connect(error: psycopg.Error, source: Postgres) -> Unseen:
    """Return why there is no connection, with the words of server or client."""
    words = _one_line(str(error))
    said = _SAID_BY_SERVER.search(words)
    cause = _refused(said[1]) if said else _unreached(words)
    text = f"{_address(source)}: {said[1] if said else words}"
    if cause == "LoginRefused":
        text += f" (user and password are {source.login.username_file} and {source.login.password_file}"
        text += f" of the Secret {source.login.secret})"
    return Unseen(cause, text)


def of_statement(error: psycopg.Error, source: Postgres) -> Unseen:
    """Return why a statement gave nothing, with the server's words."""
    words = error.diag.message_primary or _one_line(str(error))
    return Unseen(_of_state(error), f"{_address(source)}: {words}")


def of_deadline(seconds: float, source: Postgres) -> Unseen:
    """Return that nothing came back in time."""
    return Unseen("NotReached", f"{_address(source)}: no answer within {seconds:g} s")


def _of_state(error: psycopg.Error) -> Cause:
    state = error.sqlstate or ""
    if state == "42501":
        return "RightMissing"
    is_away = not state or state.startswith(("08", "57"))
    return "NotReached" if is_away else "Refused"


def _refused(said: str) -> Cause:
    return "Refused" if _PASSING.search(said) else "LoginRefused"


def _unreached(words: str) -> Cause:
    if _UNKNOWN_HOST.search(words):
        return "HostUnknown"
    return "TlsRefused" if _TLS.search(words) else "NotReached"


def _address(source: Postgres) -> str:
    return f"database {source.database} at {source.host}:{source.port}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
