"""How the operator enters a Kafka Connect that is protected: by the authority of its certificate, and by a login.

One that others run may be anywhere, ask for a client certificate, and name keys of Secrets in its own way. Secrets are
read here, for the address of that Kafka Connect alone, and go nowhere else.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from headrace_operator.api import secret_reference
from headrace_operator.api.connectcluster import Rest
from headrace_operator.api.external import External, ExternalTls
from headrace_operator.api.kafkaconnection import Certificate
from headrace_operator.api.properties import WHOLE
from headrace_operator.api.schema import Credentials, SecretKey
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
    """What a Kafka Connect must prove, what it is told (the header ``Authorization``), and how it is spoken to.

    One that others run is at ``address``, and not where its name leads; it is given keys of Secrets of ``namespace`` as
    its ``reference`` names them (`api.secret_reference`).
    """

    authority: ssl.SSLContext | None
    login: str | None
    address: str | None = None
    reference: str | None = None
    namespace: str = ""

    def sent(self, body: Any) -> Any:
        """Return JSON as this Kafka Connect understands it; raises `Invalid` where it could not read a Secret."""
        if self.address is None:
            return body
        return secret_reference.everywhere(body, self._written)

    def heard(self, body: Any) -> Any:
        """Return JSON that it answered, with keys of Secrets named as everywhere in Headrace."""
        if self.reference is None:
            return body
        reference, namespace = self.reference, self.namespace
        return secret_reference.everywhere(body, lambda text: secret_reference.read(text, reference, namespace))

    def _written(self, text: str) -> str:
        if self.reference is not None:
            return secret_reference.written(text, self.reference)
        if re.fullmatch(WHOLE, text) is None:
            return text
        raise errors.Invalid("It is not known how this Kafka Connect reads a Secret: set external.secretReference.")


class Entrances:
    """The entrances by what Kafka Connects are called, each made anew when its Secrets change."""

    def __init__(self, kube: Kube) -> None:
        self._secrets: Kept[Secret, Mapping[str, bytes]] = Kept(lambda at: kube.secret_values(*at), SECRETS)
        self._authorities: dict[str, tuple[tuple[str | None, ...], ssl.SSLContext]] = {}

    async def open(self, url: str, namespace: str, rest: Rest) -> Entrance:
        """Return the entrance of the workers at ``url``; raises `HeadraceError`."""
        address = urlsplit(url).netloc
        ca = SecretKey(secret=rest.tls.secret, key=AUTHORITY)
        authority = self._authority(url, ca, await self._text(namespace, ca, address), None)
        login = await self._login(namespace, rest.auth.credentials, address) if rest.auth else None
        return Entrance(authority=authority, login=login)

    async def outside(self, name: str, namespace: str, external: External) -> Entrance:
        """Return the entrance of a Kafka Connect that others run, here called ``name``; raises `HeadraceError`."""
        login = None
        if external.auth is not None:
            login = await self._login(namespace, external.auth.credentials, external.address)
        authority = await self._verified(name, namespace, external) if external.url.startswith("https") else None
        return Entrance(
            authority=authority,
            login=login,
            address=external.url.rstrip("/"),
            reference=external.secret_reference,
            namespace=namespace,
        )

    async def _verified(self, name: str, namespace: str, external: External) -> ssl.SSLContext:
        tls = external.tls or ExternalTls.model_validate({})
        text = await self._text(namespace, tls.ca, external.address) if tls.ca else None
        pair = await self._pair(namespace, tls.certificate, external.address) if tls.certificate else None
        shown = (tls.certificate.secret, pair) if tls.certificate and pair else None
        return self._authority(name, tls.ca, text, shown)

    def _authority(
        self, name: str, ca: SecretKey | None, text: str | None, shown: tuple[str, str] | None
    ) -> ssl.SSLContext:
        """Return the context of these certificates, the same one as long as they are."""
        wanted = (text, *(shown or ()))
        known, authority = self._authorities.get(name) or ((), None)
        if authority is None or known != wanted:
            authority = _authority(ca, text) if ca and text is not None else ssl.create_default_context()
            if shown:
                _show(authority, *shown)
            self._authorities[name] = (wanted, authority)
        return authority

    async def _text(self, namespace: str, key: SecretKey, address: str) -> str:
        values = await self._secrets.ask((namespace, key.secret, address))
        return secret_values.text(values, key.secret, key.key)

    async def _pair(self, namespace: str, certificate: Certificate, address: str) -> str:
        keys = (SecretKey(secret=certificate.secret, key=key) for key in certificate.keys)
        return "\n".join([await self._text(namespace, key, address) for key in keys])

    async def _login(self, namespace: str, named: Credentials, address: str) -> str:
        values = await self._secrets.ask((namespace, named.secret, address))
        user, password = (secret_values.text(values, named.secret, key) for key in named.keys)
        try:
            return aiohttp.encode_basic_auth(user, password, encoding="utf-8")
        except ValueError as error:
            raise errors.Invalid(f"The user name in Secret {named.secret} has a colon: HTTP has none there.") from error


def _authority(key: SecretKey, text: str) -> ssl.SSLContext:
    """Return a context that trusts these certificates alone; a default one trusts the system's where there are none."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as Java: an authority below another one is one, too
    try:
        made.load_verify_locations(cadata=secret_values.certificates(text))
        return made
    except (ssl.SSLError, ValueError) as error:
        raise errors.Invalid(
            f"Key {key.key} of Secret {key.secret} is no certificate in PEM: put the authority's."
        ) from error


def _show(made: ssl.SSLContext, secret: str, pair: str) -> None:
    """Show a certificate with its key: Python reads it from a file only, here one that is in memory."""
    with open(os.memfd_create("certificate"), "w", encoding="utf-8") as file:
        file.write(f"{pair}\n")
        file.flush()
        try:
            made.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")
        except (ssl.SSLError, ValueError) as error:
            text = f"Secret {secret} has no certificate with its private key in PEM, without a passphrase: put both."
            raise errors.Invalid(text) from error
