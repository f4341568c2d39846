"""``headrace outbox``: the SQL of the table that a relay publishes."""

from __future__ import annotations

import typer

from headrace.cli.failure import usage
from headrace.cli.laptop import output
from headrace.cli.laptop.inbox import Dialect, Table
from headrace.relay import ddl as tables
from headrace.sql import dialects

app = typer.Typer(no_args_is_help=True, help="The outbox table that the polling publisher reads.")


@app.callback()
def outbox() -> None:
    """The outbox table that the polling publisher reads."""


@app.command()
def ddl(table: Table = tables.TABLE, dialect: Dialect = dialects.Dialect.POSTGRESQL) -> None:
    """Print what makes the table, its index and its leases; running it again changes nothing."""
    try:
        output.write(tables.ddl(dialect, table))
    except ValueError as error:
        raise usage(str(error)) from error
