"""Real databases that take encrypted connections alone, each with certificates that tests made."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psycopg

from tests.cluster.authority import Certificate, issue
from tests.debian_server import folder
from tests.mariadb_server import USER as MARIADB_USER
from tests.mariadb_server import running as mariadb_running
from tests.postgres_server import USER as POSTGRES_USER
from tests.postgres_server import created, served
from tests.runtime.relay import outboxes
from tests.runtime.relay.outboxes import Place

RELAY, SHIPPER = "relay", "shipper"
"""Users, of whom the server takes the second by a client certificate alone."""

AUTHORITIES = ("ours", "other")
"""The server is of the first; each has signed a certificate for it, and one for the user."""


@dataclass(frozen=True, kw_only=True)
class Secured:
    """A server of 127.0.0.1, which is no localhost to those who check; ``place`` makes it an empty database."""

    place: Callable[[], Place]
    authorities: Path
    show: Callable[[str], None]
    """Let the server go on with the certificate that another authority gave it."""

    def file(self, authority: str, name: str) -> str:
        """Return the place of an authority's file."""
        return str(self.authorities / authority / name)


def issued(below: Path) -> Path:
    """Make the authorities, and what they signed, ``below`` a folder, and return it."""
    for name in AUTHORITIES:
        server = Certificate(file="server", user="db", serves=("127.0.0.1",))
        issue(below / name, [server, Certificate(file="client", user=SHIPPER)])
    return below


@contextmanager
def postgres(authorities: Path) -> Iterator[Secured]:
    """Run a PostgreSQL that asks for encryption."""
    with created(ssl="on", ssl_ca_file="ca.crt") as made:
        data = made.folder / "data"
        rules = f"hostssl all {SHIPPER} 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 trust\n"
        (data / "pg_hba.conf").write_text(rules)

        def show(authority: str) -> None:
            _lend(authorities / authority, data, POSTGRES_USER)

        def shown(authority: str) -> None:
            show(authority)
            with psycopg.connect(made.url(), autocommit=True) as admin:
                admin.execute("SELECT pg_reload_conf()")
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'relay'")

        show(AUTHORITIES[0])
        with served(made):
            with psycopg.connect(made.url(), autocommit=True) as admin:
                admin.execute(f"CREATE ROLE {SHIPPER} LOGIN SUPERUSER")
            yield Secured(place=lambda: outboxes.postgres(made), authorities=authorities, show=shown)


@contextmanager
def mariadb(authorities: Path) -> Iterator[Secured]:
    """Run a MariaDB that asks for encryption."""
    with folder("certificates", MARIADB_USER) as lent:
        _lend(authorities / AUTHORITIES[0], lent, MARIADB_USER)
        files = [f"--ssl-{name}={lent / file}" for name, file in FILES.items()]
        with mariadb_running("--require-secure-transport=ON", *files) as made:

            def run(*statements: str) -> None:
                with made.connect(autocommit=True) as connection, connection.cursor() as cursor:
                    for statement in statements:
                        cursor.execute(statement)

            def shown(authority: str) -> None:
                _lend(authorities / authority, lent, MARIADB_USER)
                run("FLUSH SSL", f"KILL USER {RELAY}@localhost")

            for user, asked in ((RELAY, ""), (SHIPPER, "REQUIRE X509")):
                run(f"CREATE USER {user}@localhost {asked}", f"GRANT ALL ON relay.* TO {user}@localhost")
            place = partial(outboxes.mariadb, made)
            yield Secured(place=lambda: replace(place(), user=RELAY), authorities=authorities, show=shown)


FILES = {"ca": "ca.crt", "cert": "server.crt", "key": "server.key"}


def _lend(authority: Path, where: Path, user: str) -> None:
    """Put a server's files where its user may read them."""
    for name in FILES.values():
        file = where / name
        file.write_bytes((authority / name).read_bytes())
        file.chmod(0o600)
        shutil.chown(file, user, user)
