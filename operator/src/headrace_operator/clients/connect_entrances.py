"""How the operator enters a Kafka Connect that is protected: by the authority of its certificate, and by a login.

Secrets are read here, for the address of that Kafka Connect alone, and go nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from headrace_operator.api.connectcluster import Rest, RestAuth
from headrace_operator.clients import errors, secret_values
from headrace_operator.clients.kept import Kept
from headrace_operator.clients.kube import Kube

SECRETS = 5.0
"""Seconds for which one read of a Secret serves all that ask a Kafka Connect."""

AUTHORITY = "ca.crt"

Secret = tuple[str, str, str]
"""A namespace, a name, and the address that it is sent to."""


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """What a Kafka Connect must prove, and what it is told: the header ``Authorization``."""

    authority: ssl.SSLContext
    login: str | None


class Entrances:
    """The entrances by address, each made anew when its Secrets change."""

    def __init__(self, kube: Kube) -> None:
        self._secrets: Kept[Secret, Mapping[str, bytes]] = Kept(lambda at: kube.secret_values(*at), SECRETS)
        self._authorities: dict[str, tuple[str, ssl.SSLContext]] = {}

    async def open(self, url: str, namespace: str, rest: Rest) -> Entrance:
        """Return the entrance of the Kafka Connect at ``url``; raises `HeadraceError`."""
        address = urlsplit(url).netloc
        text = secret_values.text(
            await self._secrets.ask((namespace, rest.tls.secret, address)), rest.tls.secret, AUTHORITY
        )
        known, authority = self._authorities.get(url) or ("", None)
        if authority is None or known != text:
            authority = _authority(rest.tls.secret, text)
            self._authorities[url] = (text, authority)
        login = await self._login(namespace, rest.auth, address) if rest.auth else None
        return Entrance(authority=authority, login=login)

    async def _login(self, namespace: str, auth: RestAuth, address: str) -> str:
        named = auth.credentials
        values = await self._secrets.ask((namespace, named.secret, address))
        user, password = (secret_values.text(values, named.secret, key) for key in named.keys)
        try:
            return aiohttp.encode_basic_auth(user, password, encoding="utf-8")
        except ValueError as error:
            raise errors.Invalid(f"The user name in Secret {named.secret} has a colon: HTTP has none there.") from error


def _authority(secret: str, text: str) -> ssl.SSLContext:
    """Return a context that trusts these certificates alone; a default one trusts the system's where there are none."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as Java: an authority below another one is one, too
    try:
        made.load_verify_locations(cadata=secret_values.certificates(text))
        return made
    except (ssl.SSLError, ValueError) as error:
        raise errors.Invalid(
            f"Key {AUTHORITY} of Secret {secret} is no certificate in PEM: put the authority's."
        ) from error
