"""Kubeconfig files with everything inside them (certificates too), so that one file can be handed around."""

import base64
import json
from pathlib import Path


def write(target: Path, *, server: str, pki: Path, client: str, context: str) -> None:
    """Write a kubeconfig for the client certificate `client` of the folder `pki`, readable by its owner only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(
        content(
            server=server,
            authority=(pki / "ca.crt").read_bytes(),
            certificate=(pki / f"{client}.crt").read_bytes(),
            key=(pki / f"{client}.key").read_bytes(),
            context=context,
        )
    )


def content(*, server: str, authority: bytes, certificate: bytes, key: bytes, context: str) -> str:
    """Give a kubeconfig as JSON, which is YAML too; keys and certificates are PEM."""
    cluster = {"server": server, "certificate-authority-data": _encoded(authority)}
    user = {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
            "current-context": context,
        },
        indent=1,
    )


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
