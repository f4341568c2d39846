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
