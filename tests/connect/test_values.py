"""What values of tables become, through real PostgreSQL, Debezium and Kafka Connect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.connect import values
from tests.connect.capturing import Captured, Parts


def after(captured: Captured, topic: str, number: int) -> list[dict[str, Any]]:
    """Return the rows as the first records of a topic have them."""
    return [json.loads(one.value())["after"] for one in captured.records(topic, number)]


def named(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return a row's values with what they were in SQL."""
    return [(f"{name} {value}", row[f"c{at}"]) for at, (name, value, _) in enumerate(values.VALUES)]


def test_page_lists_each_type() -> None:
    text = values.PAGE.read_text()

    assert len({name for name, _, _ in values.VALUES}) > 60
    assert values.current(text) == text, "look at it, then: python -m tests.connect.values"


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_each_type_becomes_what_the_page_says_in_a_snapshot_and_in_a_stream(parts: Parts) -> None:
    columns = ", ".join(f"c{at} {name}" for at, (name, _, _) in enumerate(values.VALUES))
    row = ", ".join(value for _, value, _ in values.VALUES)
    nulls = ", ".join("NULL" for _ in values.VALUES)
    with parts.database() as database:
        database.sql(values.SETUP + f"CREATE TABLE public.every (id int PRIMARY KEY, {columns});")
        database.sql(f"INSERT INTO every VALUES (1, {row}), (2, {nulls});")
        captured = database.capture({"tables": ["public.every"]})
        database.sql(f"INSERT INTO every VALUES (3, {row}), (4, {nulls});")
        snapshot, snapshot_nulls, stream, stream_nulls = after(captured, "public.every", 4)

    expected = [(f"{name} {value}", became) for name, value, became in values.VALUES]
    assert named(snapshot) == expected
    assert named(stream) == expected
    assert {value for _, value in named(snapshot_nulls) + named(stream_nulls)} == {None}


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_keys_are_written_as_values_are(parts: Parts) -> None:
    row = "INSERT INTO prices VALUES ('2026-03-01', 12.30, '2026-03-01 10:00');"
    with parts.database() as database:
        database.sql(
            "CREATE TABLE public.prices (day date, price numeric(10,2), at timestamp, PRIMARY KEY (day, price, at));"
        )
        database.sql(row)
        captured = database.capture({"tables": ["public.prices"]})
        database.sql("DELETE FROM prices;" + row)
        keys = [json.loads(one.key()) for one in captured.records("public.prices", 4)]

    assert keys == [{"day": "2026-03-01", "price": "12.30", "at": "2026-03-01T10:00:00"}] * 4


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_null_stays_null_where_the_column_has_a_default(parts: Parts) -> None:
    row = "INSERT INTO t VALUES ({}, NULL, NULL, NULL, NULL);"
    with parts.database() as database:
        database.sql(
            "CREATE TABLE public.t (id int PRIMARY KEY, n int DEFAULT 7, p numeric DEFAULT 1.5,"
            " d date DEFAULT '2020-01-01', t text DEFAULT 'a');"
        )
        database.sql(row.format(1))
        captured = database.capture({"tables": ["public.t"]})
        database.sql(row.format(2))
        rows = after(captured, "public.t", 2)

    assert rows == [{"id": id, "n": None, "p": None, "d": None, "t": None} for id in (1, 2)]


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_what_is_not_in_the_log_is_as_the_page_says(parts: Parts) -> None:
    """An unchanged large value is a placeholder, and a generated column is only in the snapshot."""
    with parts.database() as database:
        database.sql(
            "CREATE TABLE public.p (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED,"
            " bio text, days date[]);"
            "ALTER TABLE p ALTER bio SET STORAGE EXTERNAL, ALTER days SET STORAGE EXTERNAL;"
            "INSERT INTO p VALUES (1, 1, DEFAULT, repeat('x', 9600), array_fill(date '2026-03-01', ARRAY[3000]));"
        )
        captured = database.capture({"tables": ["public.p"]})
        database.sql("UPDATE p SET n = 2;")
        snapshot, update = after(captured, "public.p", 2)

    assert (snapshot["twice"], snapshot["bio"], set(snapshot["days"])) == (2, "x" * 9600, {"2026-03-01"})
    unavailable = "__debezium_unavailable_value"
    assert update == {"id": 1, "n": 2, "bio": unavailable, "days": [unavailable]}


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_rows_whose_columns_may_not_be_null_are_deleted_and_get_other_keys(parts: Parts) -> None:
    """Of such a row the log has the old key alone: the rest is null, of whatever type, and ends no task."""
    columns = ", ".join(f"c{at} {name} NOT NULL" for at, (name, _, _) in enumerate(values.VALUES))
    row = ", ".join(value for _, value, _ in values.VALUES)
    with parts.database() as database:
        database.sql(values.SETUP + f"CREATE TABLE public.every (id int PRIMARY KEY, {columns});")
        captured = database.capture({"tables": ["public.every"]})
        database.sql(f"INSERT INTO every VALUES (1, {row}); UPDATE every SET id = 2; DELETE FROM every;")
        records = [json.loads(one.value() or b"null") for one in captured.records("public.every", 6)]

    insert, moved, _, come, deleted, _ = records
    assert [one["op"] for one in (insert, moved, come, deleted)] == ["c", "d", "c", "d"]
    assert (
        named(insert["after"]) == named(come["after"]) == [(f"{name} {v}", became) for name, v, became in values.VALUES]
    )
    assert (moved["before"]["id"], deleted["before"]["id"]) == (1, 2)
    left = {name.split(" ")[0]: value for name, value in named(deleted["before"]) if value is not None}
    assert left.pop("point")["x"] == 0
    assert left == {"hstore": "{}", "hstore[]": []}


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_what_is_no_part_of_a_chosen_identity_is_null_when_a_row_is_deleted(parts: Parts) -> None:
    with parts.database() as database:
        database.sql(
            "CREATE TABLE public.t (id serial, code text NOT NULL UNIQUE, n int NOT NULL DEFAULT 7,"
            " ok boolean NOT NULL DEFAULT true, at timestamptz NOT NULL DEFAULT now(),"
            " b bytea NOT NULL DEFAULT '\\x61');"
            "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key; INSERT INTO t (code) VALUES ('a');"
        )
        captured = database.capture({"tables": ["public.t"]})
        database.sql("DELETE FROM t;")
        read, deleted = (json.loads(one.value()) for one in captured.records("public.t", 2))

    assert {name: read["after"][name] for name in ("id", "n", "ok", "b")} == {"id": 1, "n": 7, "ok": True, "b": "YQ=="}
    assert deleted["before"] == {"id": None, "code": "a", "n": None, "ok": None, "at": None, "b": None}


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_domains_and_arrays_of_them_are_alike_in_a_snapshot_and_in_a_stream(parts: Parts) -> None:
    row = "INSERT INTO t VALUES ({}, 'a=>1', '{{a,NULL}}', ARRAY[1::whole], '{{2026-03-01 10:00+01}}');"
    with parts.database() as database:
        database.sql(
            "CREATE EXTENSION hstore; CREATE DOMAIN pairs AS hstore; CREATE DOMAIN tags AS text[];"
            "CREATE DOMAIN whole AS int; CREATE DOMAIN times AS timestamptz[];"
            "CREATE TABLE public.t (id int PRIMARY KEY, p pairs, g tags, w whole[], z times);" + row.format(1)
        )
        captured = database.capture({"tables": ["public.t"]})
        database.sql(row.format(2))
        rows = after(captured, "public.t", 2)

    expected = {"p": '"a"=>"1"', "g": ["a", None], "w": ["1"], "z": ["2026-03-01T09:00:00Z"]}
    assert rows == [{"id": id, **expected} for id in (1, 2)]


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_defaults_of_any_type_end_no_task(parts: Parts) -> None:
    """Debezium reads them in a form of its own, whether a value or what a function gives; also of a column added."""
    defaults = {
        "timestamptz": ("now()", "2026-03-01 10:00+01", "2026-03-01T09:00:00Z"),
        "timestamptz(3)": ("'2020-01-01 00:00+00'", "infinity", "infinity"),
        "timestamp": ("CURRENT_TIMESTAMP", "2026-03-01 10:00", "2026-03-01T10:00:00"),
        "date": ("CURRENT_DATE", "2026-03-01", "2026-03-01"),
        "time": ("'10:00'", "11:00", "11:00:00"),
        "timetz": ("'10:00+01'", "10:00+01", "09:00:00Z"),
        "interval": ("'1 day'", "2 hours", "P0Y0M0DT2H0M0S"),
        "numeric(10,2)": ("0", "1", "1.00"),
        "money": ("0", "1", "1.00"),
        "uuid": ("gen_random_uuid()", "7d5e8f9a-0000-4000-8000-000000000001", "7d5e8f9a-0000-4000-8000-000000000001"),
        "jsonb": ("'{}'", "[]", "[]"),
        "xml": ("'<a/>'", "<b/>", "<b/>"),
        "bytea": ("'a'", "b", "Yg=="),
        "bit(1)": ("B'1'", "0", False),
        "bit(2)": ("B'10'", "11", "11"),
        "boolean": ("true", "f", False),
        "bigint": ("extract(epoch from now())", "5", 5),
        "double precision": ("random()", "0.5", 0.5),
        "text[]": ("'{}'", "{a}", ["a"]),
        "varchar(20)": ("CURRENT_USER", "a", "a"),
        "inet": ("'10.0.0.1'", "10.0.0.2", "10.0.0.2"),
    }
    columns = [
        f"c{at} {name} NOT NULL DEFAULT {default}" for at, (name, (default, _, _)) in enumerate(defaults.items())
    ]
    row = ", ".join(f"'{value}'" for _, value, _ in defaults.values())
    with parts.database() as database:
        database.sql(
            f"CREATE TABLE public.t (id int PRIMARY KEY, {', '.join(columns)}); INSERT INTO t VALUES (1, {row});"
        )
        database.sql("CREATE TABLE public.later (id int PRIMARY KEY);")
        captured = database.capture({"tables": ["public.t", "public.later"]})
        database.sql(f"INSERT INTO t VALUES (2, {row}); DELETE FROM t; INSERT INTO later VALUES (1);")
        captured.await_count("public.later", 1)
        database.sql(
            f"ALTER TABLE later {', '.join(f'ADD {one}' for one in columns)}; INSERT INTO later VALUES (2, {row});"
        )
        read, come, deleted = (json.loads(one.value()) for one in captured.records("public.t", 3))
        before, later = after(captured, "public.later", 2)

    expected = {f"c{at}": became for at, (_, _, became) in enumerate(defaults.values())}
    assert (read["after"], come["after"], later) == (
        {"id": 1, **expected},
        {"id": 2, **expected},
        {"id": 2, **expected},
    )
    assert deleted["before"] == {"id": 1, **dict.fromkeys(expected)}
    assert before == {"id": 1}


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_what_has_no_such_form_is_the_text_that_postgresql_has(parts: Parts) -> None:
    """It was null, without a word: a zone to the second, and more hours than Java's driver can count."""
    row = "INSERT INTO t VALUES ({}, '{{10:00:00+00:19:32}}', '{{2562047788 hours}}');"
    with parts.database() as database:
        database.sql("CREATE TABLE public.t (id int PRIMARY KEY, z timetz[], i interval[]);" + row.format(1))
        captured = database.capture({"tables": ["public.t"]})
        database.sql(row.format(2))
        rows = after(captured, "public.t", 2)

    assert rows == [{"id": id, "z": ["10:00:00+00:19:32"], "i": ["2562047788:00:00"]} for id in (1, 2)]


@pytest.mark.slow
@pytest.mark.case("databases-6")
def test_what_a_database_sets_for_its_sessions_changes_no_value(parts: Parts) -> None:
    """In another style an interval lost its days, and bytes ended the task."""
    values = r"'1 year -3 days 04:05:06.5', '\x00ff61', 0.30000000000000004, '2026-03-01 10:00+01'"
    others = {"intervalstyle": "sql_standard", "bytea_output": "escape", "extra_float_digits": "-5"}
    others |= {"datestyle": "SQL, DMY", "timezone": "Asia/Kolkata"}
    with parts.database() as database:
        for name, value in others.items():
            database.sql(f"ALTER DATABASE {database.name} SET {name} = '{value}';")
        database.sql("CREATE TABLE public.t (id int PRIMARY KEY, i interval, b bytea, f float8, z timestamptz);")
        database.sql(f"INSERT INTO t VALUES (1, {values});")
        captured = database.capture({"tables": ["public.t"]})
        database.sql(f"INSERT INTO t VALUES (2, {values});")
        rows = after(captured, "public.t", 2)

    expected = {"i": "P1Y0M-3DT4H5M6.5S", "b": "AP9h", "f": 0.30000000000000004, "z": "2026-03-01T09:00:00Z"}
    assert rows == [{"id": id, **expected} for id in (1, 2)]


@pytest.mark.slow
def test_modes_of_the_user_win(parts: Parts) -> None:
    config = {"decimal.handling.mode": "double"}
    with parts.database() as database:
        database.sql(
            "CREATE TABLE public.t (day date PRIMARY KEY, p numeric); INSERT INTO t VALUES ('2026-03-01', 1.5);"
        )
        captured = database.capture({"tables": ["public.t"]}, config)
        rows = after(captured, "public.t", 1)

    assert rows == [{"day": 20513, "p": 1.5}]
