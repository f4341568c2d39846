"""Tables as others have them: altered while they are read, guarded, in other letters, with rows of any size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace import outbox
from headrace.cli import main
from headrace.outbox import PENDING, PROCESSED, Relay
from headrace.relay.statements import LEASES
from headrace.sql.dialects import Dialect
from tests.runtime.consumer_process import Running
from tests.runtime.relay.outboxes import Outbox, relaying, says
from tests.waiting import until

pytestmark = pytest.mark.slow

LARGE, LARGE_ROWS = 1024 * 1024, 120
MEMORY = 128 * 1024 * 1024
UUID = "0190163d-8694-739b-aea5-966c26f8ad91"
BYTES = {Dialect.POSTGRESQL: ("bytea", "decode(%s, 'hex')"), Dialect.MYSQL: ("binary(16)", "unhex(%s)")}
"""A type of bytes, and what makes them of hexadecimal digits."""


def is_postgres(made: Outbox) -> bool:
    """Tell which of the two databases it is."""
    return made.place.dialect is Dialect.POSTGRESQL


def as_reader(made: Outbox, *rights: str) -> Relay:
    """Return the contract of a login that has these rights on the outbox, and all on the leases."""
    name = made.relay.relay
    made.run(f"CREATE ROLE {name} LOGIN" if is_postgres(made) else f"CREATE USER {name}@localhost")
    permit(made, *rights)
    permit(made, "SELECT", "INSERT", "UPDATE", "DELETE", table=f"{made.table}{LEASES}")
    (made.folder / "username").write_text(name)
    return made.relay


def permit(made: Outbox, *rights: str, table: str = "") -> None:
    """Grant rights to the login of `as_reader`."""
    to = made.relay.relay if is_postgres(made) else f"{made.relay.relay}@localhost"
    where = table or made.table
    made.run(f"GRANT {', '.join(rights)} ON {where if is_postgres(made) else f'relay.{where}'} TO {to}")


def peak(running: Running) -> int:
    """Return the most memory in bytes that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{running.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.case("tables-1")
@pytest.mark.parametrize(("column", "given"), [("messageKey", "'k'"), ("topic", "'other'")])
def test_a_column_that_is_added_holds_from_its_first_row_on(made: Outbox, column: str, given: str) -> None:
    """What runs looks at the table again, not only at its rows."""
    made.topic("order"), made.topic("other")
    made.run(f"ALTER TABLE {made.table} DROP COLUMN {column}")
    into = f"INSERT INTO {made.table} (messageType, payload"
    made.run(f"{into}) VALUES ('order', 'before')")
    with relaying(made):
        until("the first row", made.is_done(1))
        made.run(f"ALTER TABLE {made.table} ADD COLUMN {column} varchar(200)")
        made.run(f"{into}, {column}) VALUES ('order', 'after', {given})")
        until("the next row", made.is_done(2))

    found = {one.value: (route, one.key) for route in ("order", "other") for one in made.published(route)}
    expected = ("order", b"k") if column == "messageKey" else ("other", None)
    assert found == {b"before": ("order", None), b"after": expected}


@pytest.mark.case("tables-1")
def test_one_column_may_be_two_things(made: Outbox) -> None:
    """As an id that messages are known by, too."""
    made.topic()
    made.insert([("a", str(n)) for n in range(20)])
    columns = {**made.relay.columns.model_dump(), "message_id": "id", "key": "messageType"}
    with relaying(made, Relay.model_validate({**made.relay.model_dump(), "columns": columns})):
        until("all", made.is_done(20))

    found = [(dict(one.headers)["id"], one.key) for one in made.published()]
    assert found == [(str(id).encode(), b"order") for (id,) in made.run(f"SELECT id FROM {made.table} ORDER BY id")]


@pytest.mark.case("tables-2")
@pytest.mark.parametrize("right", ["UPDATE", "DELETE"])
def test_nothing_is_published_by_a_login_that_lacks_a_right(made: Outbox, right: str) -> None:
    """What cannot be marked would be published again by each process that begins."""
    made.topic()
    made.insert([("a", str(n)) for n in range(10)])
    relay = as_reader(made, "SELECT", *(one for one in ("UPDATE", "DELETE") if one != right))
    with relaying(made, relay.model_copy(update={"retention": 3600.0})) as running:
        says(running, "denied")
        assert made.published() == []
        permit(made, right)
        until("all", made.is_done(10))

    assert len(made.published()) == 10


@pytest.mark.case("tables-2")
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_nothing_is_published_of_a_table_whose_time_is_none(made: Outbox) -> None:
    """It is said at once, and not with each look at the figures, while rows are published between them.

    To MariaDB any number and text is a time, or an unknown one.
    """
    made.topic()
    made.insert([("a", str(n)) for n in range(10)])
    made.run(
        f"ALTER TABLE {made.table} ALTER occurredAt DROP DEFAULT, ALTER occurredAt TYPE bigint USING 1700000000000"
    )
    with relaying(made) as running:
        says(running, "could not tell by occurredat how old rows are in outbox", "operator does not exist")
        assert made.published() == []
        made.run(f"ALTER TABLE {made.table} ALTER occurredAt TYPE timestamptz USING to_timestamp(occurredAt / 1000)")
        until("all", made.is_done(10))
        until("ready", lambda: running.get("/readyz")[0] == 200)


@pytest.mark.case("tables-3")
@pytest.mark.parametrize("undone", ["all", "one"])
def test_rows_whose_marks_the_database_undoes_are_not_published_again(made: Outbox, undone: str) -> None:
    """As a trigger does, or a policy of row level security; it is told."""
    made.topic()
    made.insert([("a", str(n)) for n in range(10)])
    which = "true" if undone == "all" else "OLD.payload = '5'"
    if is_postgres(made):
        body = f"BEGIN IF {which} THEN RETURN NULL; END IF; RETURN NEW; END"
        made.run(f"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS '{body.replace(chr(39), chr(39) * 2)}'")
        made.run(f"CREATE TRIGGER keep BEFORE UPDATE ON {made.table} FOR EACH ROW EXECUTE FUNCTION keep()")
    else:
        kept = f"SET NEW.status = IF({which}, OLD.status, NEW.status)"
        made.run(f"CREATE TRIGGER keep BEFORE UPDATE ON {made.table} FOR EACH ROW {kept}")
    with relaying(made) as running:
        says(running, "were PENDING still", "trigger")
        made.run(f"DROP TRIGGER keep ON {made.table}" if is_postgres(made) else "DROP TRIGGER keep")
        until("all", made.is_done(10))
        until("ready", lambda: running.get("/readyz")[0] == 200)

    assert len(made.published()) == 10


@pytest.mark.case("tables-4")
@pytest.mark.parametrize("after_small", [False, True])
def test_large_rows_are_read_a_few_at_a_time(made: Outbox, after_small: bool) -> None:
    """From the first on, and also where all before were small: so that a pod's memory is enough for any number."""
    made.topic(max_message_bytes=str(2 * LARGE))
    small = 600 if after_small else 0
    made.insert([("a", str(n)) for n in range(small)])
    of = f"FROM generate_series(1, {LARGE_ROWS})" if is_postgres(made) else f"FROM seq_1_to_{LARGE_ROWS}"
    text = f"repeat(md5('x'), {LARGE // 32})"
    made.run(f"INSERT INTO {made.table} (messageType, messageKey, payload) SELECT 'order', 'a', {text} {of}")
    with relaying(made) as running:
        until("all", made.is_done(small + LARGE_ROWS))
        assert peak(running) < MEMORY


@pytest.mark.case("tables-5")
def test_rows_of_a_missing_topic_hold_up_no_others_in_any_letters(made: Outbox) -> None:
    """However the database compares them with what was read: as Latin-1, or as bytes that are no text."""
    if is_postgres(made):
        made.run(f"ALTER TABLE {made.table} ALTER COLUMN topic TYPE bytea USING topic::bytea")
    else:
        made.run(f"ALTER TABLE {made.table} CONVERT TO CHARACTER SET latin1")
    made.topic()
    missing = b"gr\xf6\xdfe" if is_postgres(made) else "größe"
    into = f"INSERT INTO {made.table} (messageType, messageKey, topic, payload) VALUES ('order', 'a', %s, '1')"
    for _ in range(made.relay.batch // 50 + 1):
        made.run(into, [missing])
    relay = made.relay.model_copy(update={"batch": 10})
    made.run(into, [None])
    with relaying(made, relay) as running:
        until("the other", made.is_done(1))
        says(running, "rows wait for 1 topics")


@pytest.mark.case("tables-6")
def test_what_waits_to_be_marked_stays_its_replicas(made: Outbox) -> None:
    """Where somebody locks rows for longer than a lease: another replica would publish them again."""
    made.topic()
    made.insert([(f"key-{n % 50}", f'{{"n": {n}}}') for n in range(20_000)])
    leases = f"FROM {made.table}{LEASES} WHERE name LIKE 'bucket/%%'"
    later = "%s + interval '45 seconds'" if is_postgres(made) else "%s + INTERVAL 45 SECOND"
    with relaying(made):
        until("some are published", made.is_done(100))
        with made.unmarked(), relaying(made) as other:
            until("rows are under way", made.under_way)
            ((before,),) = made.run(f"SELECT max(until) {leases}".replace("%%", "%"))
            until("the other runs", lambda: other.get("/metrics")[0] == 200)
            renewed = f"SELECT count(*) {leases} AND until > {later}"
            until("leases were renewed", lambda: made.run(renewed, [before]) > [(0,)])
        until("all processed", made.is_done(20_000))

    assert len(made.published()) == 20_000


@pytest.mark.case("tables-7")
def test_a_row_that_commits_late_is_published(made: Outbox) -> None:
    """Though others with a higher id are processed: after them, as they were committed."""
    made.topic(partitions=1)
    into = f"INSERT INTO {made.table} (messageType, messageKey, payload) VALUES ('order', 'a', %s)"
    with relaying(made):
        late = made.place.connect()
        with late.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(into, ["late"])
            made.run(into, ["soon"])
            until("the other", made.is_done(1))
            cursor.execute("COMMIT")
        late.close()
        until("both", made.is_done(2))

    assert [one.value for one in made.published()] == [b"soon", b"late"]


@pytest.mark.case("tables-8")
def test_a_server_that_only_reads_is_told_and_waited_for(made: Outbox) -> None:
    """As a standby is, or the old primary after a switch."""
    made.topic()
    made.insert([("a", "1")])
    relay = as_reader(made, "SELECT", "UPDATE")
    on, off = (
        (f"ALTER ROLE {relay.relay} SET default_transaction_read_only = {to}" for to in ("on", "off"))
        if is_postgres(made)
        else (f"SET GLOBAL read_only = {to}" for to in ("ON", "OFF"))
    )
    made.run(on)
    try:
        with relaying(made, relay) as running:
            says(running, "read")
            assert made.published() == []
            made.run(off)
            until("the row", made.is_done(1))
    finally:
        made.run(off)


@pytest.mark.case("tables-9")
def test_processed_rows_are_deleted_while_others_are_written(made: Outbox) -> None:
    """Nothing that is not published."""
    made.topic()
    rows = 5000
    with relaying(made, made.relay.model_copy(update={"retention": 0.1})):
        for part in range(5):
            made.insert([(f"key-{n % 50}", f'{{"n": {n}}}') for n in range(part * rows // 5, (part + 1) * rows // 5)])
        until("all are gone", lambda: made.counts() == {})

    assert len({one.value for one in made.published()}) == rows


@pytest.mark.case("tables-10")
@pytest.mark.parametrize(
    ("kind", "first"),
    [("uuid", UUID), ("varchar(60)", UUID), ("bytes", UUID.replace("-", "")), ("bigint", "9007199254740993")],
)
def test_ids_of_any_type_are_listed_and_put_back(
    made: Outbox, capfd: pytest.CaptureFixture[str], kind: str, first: str
) -> None:
    """As the command shows them; bytes are shown by their digits."""
    type, given = (kind, "%s") if kind != "bytes" else BYTES[made.place.dialect]
    made.run(
        f"CREATE TABLE own (id {type} PRIMARY KEY, messageId int, messageType varchar(40), payload text,"
        " status varchar(10), failCount int, occurredAt bigint, processedAt timestamp NULL)"
    )
    made.run(f"INSERT INTO own VALUES ({given}, NULL, 'order', 'x', 'FAILED', 3, 1700000000000, NULL)", [first])
    file = made.folder / "own.json"
    file.write_text(outbox.dump(made.relay.model_copy(update={"table": "own"})))

    assert main(["outbox", "list", "--config", str(file)]) == 0
    listed = capfd.readouterr().out
    assert first in listed
    assert "1700000000000" in listed
    assert main(["outbox", "retry", "--config", str(file), "--id", first]) == 0
    assert made.run("SELECT status FROM own") == [(PENDING,)]


@pytest.mark.case("tables-11")
@pytest.mark.parametrize("table", ["Order-Outbox", "von müller", "select", "x" * 48, "relay.Order"])
def test_the_command_prints_every_table_that_a_relay_takes(
    made: Outbox, capfd: pytest.CaptureFixture[str], table: str
) -> None:
    """Whatever it is called, and the table is published."""
    if is_postgres(made):
        made.run("CREATE SCHEMA relay")
    assert main(["outbox", "ddl", "--table", table, "--dialect", made.place.dialect.value]) == 0
    for statement in capfd.readouterr().out.split(";\n"):
        if statement.strip():
            made.run(statement)
    made.topic()
    mark = '"' if is_postgres(made) else "`"
    quoted = ".".join(f"{mark}{part}{mark}" for part in table.split("."))
    made.run(f"INSERT INTO {quoted} (messageType, payload) VALUES ('order', '1')")
    with relaying(made, made.relay.model_copy(update={"table": table})):
        until("the row", lambda: made.run(f"SELECT count(*) FROM {quoted} WHERE status = '{PROCESSED}'") == [(1,)])


@pytest.mark.case("tables-12")
def test_an_outbox_has_one_relay(made: Outbox) -> None:
    """A second one, under which half of the rows would go to other topics, waits until the first is gone."""
    made.topic()
    second = made.relay.model_copy(update={"relay": "second", "topic_prefix": f"{made.relay.topic_prefix}second."})
    made.topic("second.order")
    with relaying(made) as running:
        made.insert([(str(n), "first") for n in range(50)])
        until("the rows", made.is_done(50))
        with relaying(made, second) as other:
            says(other, f"shop/{made.relay.relay} publishes outbox", "shop/second")
            made.insert([(str(n), "first") for n in range(50)])
            until("more rows", made.is_done(100))
            until("the first is ready", lambda: running.get("/readyz")[0] == 200)
            assert running.stop() == 0
            made.insert([(str(n), "second") for n in range(50)])
            until("all rows", made.is_done(150))

    assert {one.value for one in made.published()} == {b"first"}
    assert [one.value for one in made.published("second.order")] == [b"second"] * 50


@pytest.mark.parametrize("table", ['x"y', "x`y", "a.b.c", "", "x%s", "x" * 49, "shop." + "x" * 49])
def test_what_is_no_table_is_refused_as_what_it_is(capfd: pytest.CaptureFixture[str], table: str) -> None:
    assert main(["outbox", "ddl", "--table", table]) == 2
    said = capfd.readouterr().err
    assert "TABLE or SCHEMA.TABLE" in said
    assert "inbox" not in said
