"""The inbox's SQL without a database: names that are none, and what the command prints."""

from __future__ import annotations

import sqlite3

import pytest

import headrace
from headrace.cli import main
from headrace.record import Record
from headrace.sql import dialects
from headrace.sql.dialects import Dialect

RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b"{}")


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a`b", "a;b", "a.b.c", "1a", "é", "a" * 49, "a.", "%s"])
@pytest.mark.parametrize("dialect", Dialect)
def test_what_is_no_name_gets_into_no_statement(name: str, dialect: Dialect) -> None:
    for make in (dialects.ddl, dialects.insert, lambda one, table: dialects.purge(one, table, 1)):
        with pytest.raises(ValueError, match="is no name of an inbox table"):
            make(dialect, name)


@pytest.mark.parametrize("name", ["headrace_inbox", "shop.Inbox", "_a" * 24])
def test_names_and_schemas_are_quoted(name: str) -> None:
    assert '"' + name.replace(".", '"."') + '"' in dialects.ddl(Dialect.POSTGRESQL, name)
    assert "`" + name.replace(".", "`.`") + "`" in dialects.ddl(Dialect.MYSQL, name)


def test_the_command_prints_sql_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """So that it can be piped into a database's own client."""
    assert main(["inbox", "ddl", "--table", "shop.seen"]) == 0
    assert main(["inbox", "purge", "--days", "30", "--dialect", "mysql"]) == 0
    said = capsys.readouterr()
    assert said.out == dialects.ddl(Dialect.POSTGRESQL, "shop.seen") + dialects.purge(Dialect.MYSQL, dialects.TABLE, 30)
    assert said.err == ""


def test_the_command_says_what_is_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inbox", "ddl", "--table", "x; DROP TABLE y"]) == 2
    assert "is no name of an inbox table" in capsys.readouterr().err


def test_another_connection_is_refused_with_what_to_give_instead() -> None:
    """SQLAlchemy's, SQLite's: there the answer would have no meaning."""
    connection = sqlite3.connect(":memory:")
    with pytest.raises(TypeError, match=r"psycopg \(3\) or PyMySQL, not sqlite3.Connection: give it the driver's own"):
        headrace.inbox(connection, RECORD)  # type: ignore[call-overload]
    connection.close()
