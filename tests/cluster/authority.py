"""The cluster's own certificates: one authority, and what it signs, made by openssl at each start.

`CERTIFICATES` is the list; `issue` writes it. Nothing here knows what the certificates are used for.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.failure import ClusterError

DAYS = 3650


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One key pair: who it is for Kubernetes (user name, group), the names it serves under of a server, its days."""

    file: str
    user: str
    group: str = ""
    serves: tuple[str, ...] = ()
    days: int = DAYS

    @property
    def subject(self) -> str:
        """The subject as openssl takes it."""
        return (f"/O={self.group}" if self.group else "") + f"/CN={self.user}"

    @property
    def extensions(self) -> str:
        """The X.509 v3 extensions as openssl's configuration file takes them."""
        lines = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
        if not self.serves:
            return "\n".join([*lines, "extendedKeyUsage=clientAuth"])
        names = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in self.serves)
        return "\n".join([*lines, "extendedKeyUsage=serverAuth", f"subjectAltName={names}"])


def issue(folder: Path, certificates: Iterable[Certificate]) -> None:
    """Make an authority (`ca.crt`, `ca.key`), a key for service account tokens (`sa.key`), and `certificates`.

    Raises ClusterError when openssl refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _key(folder / "sa.key")
    _key(folder / "ca.key")
    extension = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    out = ["-key", str(folder / "ca.key"), "-out", str(folder / "ca.crt")]
    _openssl("req", "-x509", "-new", "-subj", "/CN=headrace-local", "-days", str(DAYS), *extension, *out)
    for certificate in certificates:
        sign(folder, certificate)


def sign(folder: Path, certificate: Certificate) -> None:
    """Make the key pair `certificate` describes, signed by the authority in `folder`. Raises ClusterError."""
    key, request = folder / f"{certificate.file}.key", folder / f"{certificate.file}.csr"
    extensions = folder / f"{certificate.file}.ext"
    extensions.write_text(certificate.extensions)
    _key(key)
    _openssl("req", "-new", "-key", str(key), "-subj", certificate.subject, "-out", str(request))
    authority = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial"]
    out = ["-days", str(certificate.days), "-extfile", str(extensions), "-out", str(folder / f"{certificate.file}.crt")]
    _openssl("x509", "-req", "-in", str(request), *authority, *out)
    request.unlink()
    extensions.unlink()


def pkcs8(key: Path, passphrase: str = "") -> str:
    """Return a key that was made here as PKCS #8, which is the only form that Java reads. Raises ClusterError."""
    lock = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nocrypt"]
    return _openssl("pkcs8", "-topk8", *lock, "-in", str(key))


def _key(file: Path) -> None:
    _openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", str(file))
    file.chmod(0o600)


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        what = f"`openssl {' '.join(arguments)}` failed: {done.stderr.strip()}"
        raise ClusterError(what, advice="install Debian's openssl, or look at the message above")
    return done.stdout


def _is_address(name: str) -> bool:
    return name.replace(".", "").isdigit()
