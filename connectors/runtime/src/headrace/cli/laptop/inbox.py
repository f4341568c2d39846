"""``headrace inbox``: print the SQL of the inbox table. It must not open a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from headrace.cli.failure import usage
from headrace.cli.laptop import output
from headrace.sql import dialects

Table = Annotated[str, typer.Option("--table", help="Name of the table, as TABLE or SCHEMA.TABLE.")]
Dialect = Annotated[dialects.Dialect, typer.Option("--dialect", help="Whose SQL; mysql is MariaDB's too.")]

app = typer.Typer(no_args_is_help=True, help="Print the SQL of the inbox table, by which an effect happens once.")


@app.command()
def ddl(table: Table = dialects.TABLE, dialect: Dialect = dialects.Dialect.POSTGRESQL) -> None:
    """Print what makes the table; running it again changes nothing."""
    _write(lambda: dialects.ddl(dialect, table))


@app.command()
def purge(
    days: Annotated[int, typer.Option(min=1, max=36_500, help="Days for which a message is remembered.")],
    table: Table = dialects.TABLE,
    dialect: Dialect = dialects.Dialect.POSTGRESQL,
) -> None:
    """Print what forgets messages that are older; one that comes again after that takes effect again."""
    _write(lambda: dialects.purge(dialect, table, days))


def _write(made: Callable[[], str]) -> None:
    try:
        output.write(made())
    except ValueError as error:
        raise usage(str(error)) from error
