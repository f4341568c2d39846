"""Ask a component whether it is ready: one question, one answer in words, no waiting."""

import ssl
import subprocess
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

SECONDS = 10.0


def why_not(question: str | tuple[str, ...], *, authority: Path | None = None) -> str:
    """Give why a component is not ready, or an empty string when it is.

    `question` is a URL that must answer 200, or a command that must succeed. Servers of this node that made their
    own certificate are not verified (they are asked on the node's own loopback); with `authority`, it is what signs.
    """
    return _ask_url(question, authority) if isinstance(question, str) else _ask_command(question)


def _ask_url(url: str, authority: Path | None) -> str:
    try:
        with urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_context(authority))
        ).open(url, timeout=SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"{url} answers {error.code}: {error.read(300).decode(errors='replace').strip()}"
    except OSError as error:
        return f"{url}: {error}"


def _context(authority: Path | None) -> ssl.SSLContext:
    return _unverified() if authority is None else ssl.create_default_context(cafile=str(authority))


@cache
def _unverified() -> ssl.SSLContext:
    """Return what loads none of the system's authorities: that would compute more than the question itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ask_command(argv: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS * 3, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"`{' '.join(argv)}`: {error}"
    return "" if done.returncode == 0 else f"`{' '.join(argv)}`: {(done.stderr or done.stdout).strip()[:300]}"
