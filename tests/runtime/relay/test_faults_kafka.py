"""What stands in a relay's way is told in a sentence, holds up only what it must, and goes on by itself afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from headrace import outbox
from headrace.cli import main
from headrace.outbox import FAILED, PENDING, PROCESSED
from headrace.sql.dialects import Dialect
from tests.kafka_broker import KafkaBroker
from tests.mariadb_server import MariadbServer
from tests.postgres_server import PostgresServer
from tests.runtime.relay import outboxes
from tests.runtime.relay.outboxes import Outbox, Place, relaying, says
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_a_row_too_large_fails_by_name_and_holds_up_its_key_alone(made: Outbox) -> None:
    """Also rows that were sent along with it are written, once and in order; later rows of its key follow its end."""
    made.topic(max_message_bytes="3000")
    rows = [(f"key-{n % 5}", json.dumps({"n": n})) for n in range(100)]
    rows[37] = (rows[37][0], "".join(chr(0x4E00 + (n * n * 7) % 20000) for n in range(4000)))
    made.insert(rows)
    with relaying(made) as running:
        until("all others", made.is_done(99))
        until("it failed", lambda: made.counts().get(FAILED) == 1)
        until("its end to be counted", lambda: running.metric("headrace_relay_failures_total", outcome="failed") == 1)
        assert running.metric("headrace_relay_failures_total", outcome="refused") == 2

    assert made.run(f"SELECT failCount FROM {made.table} WHERE status = 'FAILED'") == [(3,)]
    ((words,),) = made.run(f"SELECT lastError FROM {made.table} WHERE status = 'FAILED'")
    assert "too large" in words
    found: dict[bytes | None, list[int]] = {}
    for one in made.published():
        found.setdefault(one.key, []).append(json.loads(one.value or b"")["n"])
    assert sum(map(len, found.values())) == 99
    assert all(numbers == sorted(numbers) for numbers in found.values())


def test_rows_of_a_missing_topic_wait_and_no_others(made: Outbox) -> None:
    """They are published in order once it is there, and none has failed."""
    made.topic("order")
    made.insert([("a", "1"), ("b", "2")], kind="late")
    made.insert([("a", "3"), ("b", "4")], kind="order")
    with relaying(made) as running:
        until("the others", made.is_done(2))
        says(running, "late", "Unknown topic")
        made.topic("late", 1)
        until("all", made.is_done(4))
        until("ready", lambda: running.get("/readyz")[0] == 200)

    assert [one.value for one in made.published("late")] == [b"1", b"2"]
    assert made.run(f"SELECT DISTINCT failCount FROM {made.table}") == [(0,)]


def test_rows_without_a_key_and_of_bytes_are_published_as_they_are(made: Outbox) -> None:
    """A table of one's own: other names, bytes for payload and key, and no column that may be missing but the key."""
    binary = "bytea" if made.place.dialect is Dialect.POSTGRESQL else "BLOB"
    identity = "serial" if made.place.dialect is Dialect.POSTGRESQL else "INT AUTO_INCREMENT"
    made.run(
        f"CREATE TABLE own (nr {identity} PRIMARY KEY, msg varchar(40), kind varchar(40), body {binary}, k {binary},"
        " status varchar(10) DEFAULT 'PENDING', tries int, since timestamp DEFAULT now(), done timestamp NULL)"
    )
    columns = {"id": "nr", "message_id": "msg", "message_type": "kind", "payload": "body", "fail_count": "tries"}
    columns |= {"occurred_at": "since", "processed_at": "done", "key": "K"}
    own = made.relay.model_validate({**made.relay.model_dump(), "table": "own", "columns": columns})
    made.run("INSERT INTO own (msg, kind, body, k) VALUES ('1', 'order', %s, %s)", (b"\x00\xff", b"\xfe"))
    made.run("INSERT INTO own (msg, kind, body, k) VALUES ('2', 'order', NULL, NULL)")
    made.run("CREATE TABLE own_leases AS SELECT * FROM outbox_leases")
    made.run("ALTER TABLE own_leases ADD PRIMARY KEY (name)")
    made.topic()
    with relaying(made, own):
        until("both", lambda: made.run("SELECT count(*) FROM own WHERE status = 'PROCESSED'") == [(2,)])

    found = {dict(one.headers)["id"]: (one.key, one.value) for one in made.published()}
    assert found == {b"1": (b"\xfe", b"\x00\xff"), b"2": (None, None)}


def test_a_table_or_a_column_that_is_missing_is_told(place: Place, kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It goes on by itself once they are there."""
    made = outboxes.make(place, kafka_broker, tmp_path, table=False)
    made.topic()
    with relaying(made) as running:
        says(running, "outbox_leases", "headrace outbox ddl")
        outboxes.make_table(made)
        made.run("ALTER TABLE outbox RENAME COLUMN payload TO body")
        says(running, "has no column payload", "body")
        assert running.log.read_text().count("going on") <= 1
        made.run("ALTER TABLE outbox RENAME COLUMN body TO payload")
        made.insert([("a", "1")])
        until("the row", made.is_done(1))
        until("ready", lambda: running.get("/readyz")[0] == 200)


def test_a_password_that_was_changed_is_read_anew(
    mariadb_server: MariadbServer, kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """What is wrong meanwhile is told without the password."""
    made = outboxes.make(outboxes.mariadb(mariadb_server), kafka_broker, tmp_path)
    made.topic()
    made.run("CREATE OR REPLACE USER relay@localhost IDENTIFIED BY 'old-secret'")
    made.run("GRANT ALL ON relay.* TO relay@localhost")
    (tmp_path / "username").write_text("relay\n")
    (tmp_path / "password").write_text("old-secret")
    with relaying(made) as running:
        made.insert([("a", "1")])
        until("the row", made.is_done(1))
        made.run("ALTER USER relay@localhost IDENTIFIED BY 'new-secret'")
        made.run("KILL USER relay@localhost")
        says(running, "Access denied", "relay")
        (tmp_path / "password").write_text("new-secret\n")
        made.insert([("a", "2")])
        until("the next row", made.is_done(2))
        assert "secret" not in running.log.read_text()


@pytest.mark.parametrize("password", ["pässwort", "密码", "a'b\"c\\d %s $e"])
def test_a_password_is_what_its_file_says(
    mariadb_server: MariadbServer, kafka_broker: KafkaBroker, tmp_path: Path, password: str
) -> None:
    """In any letters: the driver would take them for Latin-1."""
    made = outboxes.make(outboxes.mariadb(mariadb_server), kafka_broker, tmp_path)
    made.topic()
    made.insert([("a", "1")])
    made.run("CREATE OR REPLACE USER reader@localhost IDENTIFIED BY %s", [password])
    made.run("GRANT ALL ON relay.* TO reader@localhost")
    (tmp_path / "username").write_text("reader")
    (tmp_path / "password").write_text(password)
    with relaying(made):
        until("the row", made.is_done(1))


def test_an_old_row_and_one_of_the_future_are_published_now(made: Outbox) -> None:
    """Kafka keeps what is published: a record's time is not its row's."""
    made.topic(retention_ms="3600000", message_timestamp_before_max_ms="60000", message_timestamp_after_max_ms="60000")
    made.insert([("a", "old"), ("a", "new")])
    made.run(f"UPDATE {made.table} SET occurredAt = '1999-01-01 00:00:00' WHERE payload = 'old'")
    made.run(f"UPDATE {made.table} SET occurredAt = '2037-01-01 00:00:00' WHERE payload = 'new'")
    with relaying(made) as running:
        until("both", made.is_done(2))
        assert running.metric("headrace_relay_oldest_pending_seconds") >= 0

    assert [one.value for one in made.published()] == [b"old", b"new"]


def test_processed_rows_are_deleted_when_they_are_old_enough(made: Outbox) -> None:
    """Nothing else is: neither pending nor failed rows, nor what was just processed."""
    made.topic("order")
    made.insert([("a", str(n)) for n in range(2500)])
    made.run(f"UPDATE {made.table} SET status = 'PROCESSED', processedAt = '2001-01-01 00:00:00'")
    made.insert([("a", "failed"), ("a", "just now")])
    made.run(f"UPDATE {made.table} SET status = 'FAILED' WHERE payload = 'failed'")
    made.insert([("a", "waits")], kind="nowhere")
    with relaying(made, made.relay.model_copy(update={"retention": 3600.0})):
        until("they are gone", lambda: made.counts() == {PROCESSED: 1, FAILED: 1, PENDING: 1})


def test_rows_wait_while_kafka_is_silent(made: Outbox) -> None:
    """It is told, and nothing counts as a failure; they are published in order afterwards."""
    made.topic(partitions=1)
    made.insert([("a", "0")])
    with relaying(made) as running:
        until("the first", made.is_done(1))
        with made.broker.silent():
            made.insert([("a", str(n)) for n in range(1, 200)])
            says(running, "Kafka")
            until("it is measured", lambda: running.metric("headrace_relay_kafka_away") == 1)
        until("all", made.is_done(200))
        until("ready", lambda: running.get("/readyz")[0] == 200)

    assert list(dict.fromkeys(one.value for one in made.published())) == [str(n).encode() for n in range(200)]
    assert made.run(f"SELECT DISTINCT failCount FROM {made.table}") == [(0,)]


def test_a_database_that_takes_no_connections_is_waited_for(
    postgres_server: PostgresServer, kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Also where it goes away while connections are open."""
    made = outboxes.make(outboxes.postgres(postgres_server), kafka_broker, tmp_path)
    made.topic()
    with relaying(made) as running, psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        made.insert([("a", "1")])
        until("the row", made.is_done(1))
        admin.execute("ALTER DATABASE relay WITH ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'relay'")
        says(running, "not currently accepting connections")
        until("it is measured", lambda: running.metric("headrace_relay_database_away") == 1)
        admin.execute("ALTER DATABASE relay WITH ALLOW_CONNECTIONS true")
        made.insert([("a", "2")])
        until("the next row", made.is_done(2))
        assert running.stop() == 0


def test_failed_rows_are_listed_and_put_back(made: Outbox, capfd: pytest.CaptureFixture[str]) -> None:
    """By the command, where the relay's configuration is; without payloads."""
    made.topic()
    made.insert([("a", "secret-1"), ("b", "secret-2"), ("c", "secret-3")])
    made.run(f"UPDATE {made.table} SET status = 'FAILED', failCount = 3, lastError = 'too large'")
    file = made.folder / "relay.json"
    file.write_text(outbox.dump(made.relay))
    ((first,),) = made.run(f"SELECT min(id) FROM {made.table}")

    assert main(["outbox", "list", "--config", str(file)]) == 0
    listed = capfd.readouterr().out
    assert listed.count("too large") == 3
    assert "secret" not in listed
    assert main(["outbox", "list", "--config", str(file), "-o", "json"]) == 0
    assert [one["failures"] for one in json.loads(capfd.readouterr().out)] == [3, 3, 3]
    assert main(["outbox", "retry", "--config", str(file), "--id", str(first)]) == 0
    assert made.counts() == {PENDING: 1, FAILED: 2}
    assert main(["outbox", "retry", "--config", str(file), "--all"]) == 0
    assert made.run(f"SELECT DISTINCT status, failCount FROM {made.table}") == [(PENDING, 0)]
    assert main(["outbox", "retry", "--config", str(file)]) == 2
