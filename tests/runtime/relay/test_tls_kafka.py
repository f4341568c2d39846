"""A relay and a database that asks for encryption know each other by their certificates, and by nothing less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.outbox import Relay
from tests.kafka_broker import KafkaBroker
from tests.runtime.relay import outboxes, secured
from tests.runtime.relay.outboxes import Outbox, Place, relaying, says
from tests.runtime.relay.secured import SHIPPER, Secured
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Run each server in turn for this file."""
    authorities = secured.issued(tmp_path_factory.mktemp("authorities"))
    run = secured.postgres if request.param == "postgresql" else secured.mariadb
    with run(authorities) as made:
        yield made


@pytest.fixture
def kept(server: Secured, kafka_broker: KafkaBroker, tmp_path: Path) -> Outbox:
    """Give one test an empty outbox on a server that takes encrypted connections alone."""
    made = outboxes.make(server.place(), kafka_broker, tmp_path)
    made.topic()
    return made


def reached(made: Outbox, *, user: str = "", **database: Any) -> Relay:
    """Return the contract with another way to the database."""
    told = made.relay.model_dump()
    if user:
        (made.folder / "username").write_text(user)
    return Relay.model_validate({**told, "database": {**told["database"], **database}})


def test_rows_flow_where_the_authority_is_the_servers(server: Secured, kept: Outbox) -> None:
    kept.insert([("a", "1")])
    with relaying(kept, reached(kept, tls={"ca_file": server.file("ours", "ca.crt")})):
        until("the row", kept.is_done(1))


def test_what_the_system_trusts_is_trusted(server: Secured, kept: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no authority is named; by OpenSSL's variable, as an image of one's own may set it."""
    kept.insert([("a", "1")])
    with relaying(kept, reached(kept, tls={})) as running:
        says(running, "certificate")
    monkeypatch.setenv("SSL_CERT_FILE", server.file("ours", "ca.crt"))
    with relaying(kept, reached(kept, tls={})):
        until("the row", kept.is_done(1))


@pytest.mark.parametrize(
    ("host", "authority", "words"),
    [("127.0.0.1", "other", ("certificate",)), ("localhost", "ours", ("certificate", "localhost"))],
)
def test_a_server_of_another_authority_or_name_is_told(
    server: Secured, kept: Outbox, host: str, authority: str, words: tuple[str, ...]
) -> None:
    """It is not logged in to."""
    kept.insert([("a", "1")])
    with relaying(kept, reached(kept, host=host, tls={"ca_file": server.file(authority, "ca.crt")})) as running:
        says(running, f"at {host}:", *words)
    assert kept.counts() == {"PENDING": 1}


def test_a_server_that_does_not_encrypt_is_told(place: Place, kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    made = outboxes.make(place, kafka_broker, tmp_path)
    with relaying(made, reached(made, tls={})) as running:
        says(running, "SSL", "support")


def test_a_client_certificate_logs_in(server: Secured, kept: Outbox) -> None:
    """Neither without one nor with that of another authority."""
    tls = {"ca_file": server.file("ours", "ca.crt")}
    kept.insert([("a", "1")])
    with relaying(kept, reached(kept, user=SHIPPER, tls=tls)) as running:
        says(running, "at 127.0.0.1:")
    other, own = (
        tls | {"certificate_file": server.file(of, "client.crt"), "key_file": server.file(of, "client.key")}
        for of in ("other", "ours")
    )
    with relaying(kept, reached(kept, tls=other)) as running:
        says(running, "at 127.0.0.1:")
    with relaying(kept, reached(kept, tls=own)):
        until("the row", kept.is_done(1))


def test_another_authority_is_followed(server: Secured, kept: Outbox, tmp_path: Path) -> None:
    """The server's certificate is changed first, and what is mounted later; neither the process nor a row is lost."""
    mounted = tmp_path / "ca.crt"
    mounted.write_text(Path(server.file("ours", "ca.crt")).read_text())
    kept.insert([("a", "1")])
    try:
        with relaying(kept, reached(kept, tls={"ca_file": str(mounted)})) as running:
            until("the row", kept.is_done(1))
            server.show("other")
            says(running, "certificate")
            mounted.write_text(Path(server.file("other", "ca.crt")).read_text())
            kept.insert([("a", "2")])
            until("the next row", kept.is_done(2))
    finally:
        server.show("ours")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("ca.crt", "", "holds no certificates"),
        ("ca.crt", None, "ca.crt"),
        ("client.key", "", "no certificate with its own key"),
        ("client.crt", None, "client.crt"),
        ("password", b"\xff\xfe", "is not text"),
    ],
)
def test_a_mounted_file_that_is_of_no_use_is_told_by_name(
    server: Secured, kept: Outbox, file: str, text: str | bytes | None, words: str
) -> None:
    """What it holds is in no text, and the process stays for what is mounted next."""
    for name in ("ca.crt", "client.crt", "client.key"):
        (kept.folder / name).write_text(Path(server.file("ours", name)).read_text())
        (kept.folder / name).chmod(0o600)
    tls = {"ca_file": "ca.crt", "certificate_file": "client.crt", "key_file": "client.key"}
    relay = reached(kept, tls={field: str(kept.folder / name) for field, name in tls.items()})
    before = (kept.folder / file).read_bytes()
    kept.insert([("a", "1")])
    (kept.folder / file).unlink()
    if text is not None:
        (kept.folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with relaying(kept, relay) as running:
        says(running, words)
        (kept.folder / file).write_bytes(before)
        (kept.folder / file).chmod(0o600)
        until("the row", kept.is_done(1))
