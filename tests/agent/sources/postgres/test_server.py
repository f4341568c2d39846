"""Login, rights, settings and position, each by making it so in the database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_agent.declared import Tls
from headrace_agent.sources.postgres import look, session
from headrace_agent.sources.postgres.heartbeat import number
from headrace_agent.told import Cause
from tests.agent.silence import silent
from tests.agent.sources.postgres.shop import Shop, looked, protected, seen, unknown
from tests.cluster import authority
from tests.debian_server import run
from tests.ports import free_port
from tests.postgres_server import USER, PostgresServer, created, served
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow


async def test_the_login_and_its_rights(shop: Shop) -> None:
    login = seen((await looked(shop.declared())).login)

    assert (login.user, login.superuser, login.replication) == ("shop", False, True)
    assert (login.creates_in_database, login.encrypted) == (True, False)


async def test_a_role_that_may_not_replicate_nor_make_publications(shop: Shop) -> None:
    shop.run("ALTER ROLE shop NOREPLICATION", "ALTER DATABASE shop OWNER TO postgres")

    login = seen((await looked(shop.declared())).login)

    assert (login.replication, login.creates_in_database) == (False, False)


@pytest.mark.parametrize("lent", ["rds_replication", "through"])
async def test_on_rds_members_of_a_role_replicate(shop: Shop, lent: str) -> None:
    shop.run(
        "ALTER ROLE shop NOREPLICATION", "CREATE ROLE rds_replication", "CREATE ROLE through IN ROLE rds_replication"
    )
    shop.run(f"GRANT {lent} TO shop")

    login = seen((await looked(shop.declared())).login)
    shop.run("DROP ROLE rds_replication, through")

    assert login.replication


async def test_the_server_and_its_settings(shop: Shop) -> None:
    shop.run("SELECT pg_create_logical_replication_slot('other', 'pgoutput')")

    told = await looked(shop.declared())
    server, position = seen(told.server), seen(told.position)

    assert server.version_number == shop.one("SELECT current_setting('server_version_num')::int")
    assert (server.wal_level, server.in_recovery, server.max_slots, server.slots) == ("logical", False, 10, 1)
    assert (server.max_senders, server.senders) == (5, 0)
    assert (server.max_slot_wal_keep_bytes, server.wal_segment_bytes) == (32 << 20, 16 << 20)
    assert server.system_identifier == str(shop.one("SELECT system_identifier FROM pg_control_system()"))
    assert number(position.lsn) == position.number <= shop.one("SELECT (pg_current_wal_lsn() - '0/0')::bigint")


async def test_an_identifier_that_may_not_be_read_is_none(shop: Shop) -> None:
    shop.run("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")

    assert seen((await looked(shop.declared())).server).system_identifier is None


async def test_a_wrong_password_names_the_files_and_not_the_password(shop: Shop) -> None:
    shop.mount(password="canary-of-a-wrong-one")

    why = unknown((await looked(shop.declared())).login)

    assert why.cause == "LoginRefused"
    assert 'password authentication failed for user "shop"' in why.why
    assert f"{shop.folder}/password of the Secret orders-db" in why.why
    assert "canary" not in why.why


async def test_a_password_that_is_changed_is_told_and_followed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    looker = look.Postgres(shop.declared())
    seen((await looker.look()).login)

    shop.run("ALTER ROLE shop PASSWORD 'another'")
    monkeypatch.setattr("headrace_agent.sources.postgres.session.LIVES", -1.0)
    shop.mount(password="not yet")
    assert unknown((await looker.look()).login).cause == "LoginRefused"

    shop.mount(password="another\n")
    seen((await looker.look()).login)
    looker.close()


@pytest.mark.parametrize("key", ["username", "password"])
async def test_a_secret_that_is_not_there_is_named(shop: Shop, key: str) -> None:
    (shop.folder / key).unlink()

    told = await looked(shop.declared())

    assert unknown(told.login).cause == "SecretMissing"
    assert f"{shop.folder}/{key} of the Secret orders-db" in unknown(told.slot).why


@pytest.mark.parametrize("text", ["", "\n", "a\0b"])
async def test_a_password_that_is_none_is_named(shop: Shop, text: str) -> None:
    shop.mount(password=text)

    assert unknown((await looked(shop.declared())).login).cause == "SecretMissing"


@pytest.mark.parametrize("password", ['pa"ss', "pa\\ss", "pä$s{x}", "a;b'c =", " spaced "])
async def test_any_password_logs_in(shop: Shop, password: str) -> None:
    quoted = password.replace("'", "''")
    shop.run(f"ALTER ROLE shop PASSWORD '{quoted}'")
    shop.mount(password=password)

    assert seen((await looked(shop.declared())).login).user == "shop"


@pytest.mark.parametrize(
    ("more", "cause", "words"),
    [
        ({"database": "none"}, "LoginRefused", 'database "none" does not exist'),
        ({"host": "no-such-host.invalid"}, "HostUnknown", "no-such-host.invalid"),
        ({"tls": Tls(mode="require")}, "TlsRefused", "does not support SSL"),
        ({"tls": Tls(mode="verify-full", ca_file="/none/ca.crt")}, "SecretMissing", "/none/ca.crt"),
    ],
)
async def test_what_keeps_from_logging_in(shop: Shop, more: dict[str, object], cause: Cause, words: str) -> None:
    why = unknown((await looked(shop.declared(**more))).login)

    assert (why.cause, words in why.why) == (cause, True), why.why


async def test_a_database_that_is_not_there_is_not_reached(shop: Shop) -> None:
    told = await looked(shop.declared(port=free_port()))

    assert unknown(told.login).cause == unknown(told.tables).cause == unknown(told.heartbeat).cause == "NotReached"


async def test_an_address_that_hangs_is_not_reached(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_WITHIN", 2)
    with silent() as port:
        why = unknown((await looked(shop.declared(port=port))).login)

    assert why.cause == "NotReached"


async def test_a_database_that_hangs_is_not_reached_and_seen_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    looker = look.Postgres(shop.declared())
    seen((await looker.look()).login)
    backend = shop.one("SELECT pid FROM pg_stat_activity WHERE application_name = 'headrace-agent'")

    run(USER, "kill", "-STOP", str(backend))
    try:
        with monkeypatch.context() as hasty:
            hasty.setattr(session, "ANSWER_WITHIN", 2.0)
            assert unknown((await looker.look()).login).cause == "NotReached"
    finally:
        run(USER, "kill", "-CONT", str(backend))

    seen((await looker.look()).login)
    looker.close()


async def test_a_connection_that_broke_is_made_anew(shop: Shop) -> None:
    looker = look.Postgres(shop.declared())
    seen((await looker.look()).login)

    within = f"{PATIENCE * 1000:.0f}"
    shop.run(
        f"SELECT pg_terminate_backend(pid, {within}) FROM pg_stat_activity WHERE application_name = 'headrace-agent'"
    )

    assert unknown((await looker.look()).login).cause == "NotReached"
    seen((await looker.look()).login)
    looker.close()


async def test_a_server_that_starts_or_is_full_refuses_for_now(shop: Shop) -> None:
    shop.run("ALTER ROLE shop CONNECTION LIMIT 0")

    assert unknown((await looked(shop.declared())).login).cause == "Refused"


async def test_a_server_without_logical_replication_and_without_a_limit(tmp_path: Path) -> None:
    with created(wal_level="replica") as made:
        protected(made)
        with served(made):
            shop = Shop(made, tmp_path)
            server = seen((await looked(shop.declared())).server)
            shop.close()

    assert (server.wal_level, server.max_slot_wal_keep_bytes) == ("replica", None)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, Path]]:
    """A server with a certificate for another name than its address, and the folder of authorities."""
    folder = tmp_path_factory.mktemp("authorities")
    authority.issue(folder / "other", [])
    authority.issue(folder / "ours", [authority.Certificate(file="server", user="db", serves=("db.example",))])
    with created(ssl="on") as made:
        protected(made)
        for name in ("server.crt", "server.key"):
            (made.folder / "data" / name).write_bytes((folder / "ours" / name).read_bytes())
            (made.folder / "data" / name).chmod(0o600)
            shutil.chown(made.folder / "data" / name, made.folder.owner(), made.folder.group())
        with served(made):
            yield made, folder


@pytest.mark.parametrize(
    ("mode", "trusted", "cause"),
    [
        ("require", "", None),
        ("verify-ca", "ours", None),
        ("verify-ca", "other", "TlsRefused"),
        ("verify-full", "ours", "TlsRefused"),
        ("verify-full", "", "TlsRefused"),
        ("disable", "", None),
    ],
)
async def test_a_server_is_known_by_its_authority(
    encrypted: tuple[PostgresServer, Path], tmp_path: Path, mode: str, trusted: str, cause: Cause | None
) -> None:
    made, folder = encrypted
    shop = Shop(made, tmp_path)
    ca = str(folder / trusted / "ca.crt") if trusted else None
    login = (await looked(shop.declared(tls=Tls.model_validate({"mode": mode, "ca_file": ca})))).login
    shop.close()

    if cause is not None:
        assert unknown(login).cause == cause
    else:
        assert seen(login).encrypted == (mode != "disable")
