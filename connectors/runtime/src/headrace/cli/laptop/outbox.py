"""``headrace outbox``: the SQL of the table that a relay publishes, and the rows of it that were given up."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from headrace import outbox as contract
from headrace.cli.failure import unreachable, usage
from headrace.cli.laptop import output
from headrace.cli.laptop.inbox import Dialect, Table
from headrace.cli.laptop.options import Output
from headrace.cli.laptop.output import Format
from headrace.relay import ddl as tables
from headrace.relay.source import FailedRow, Source, Trouble
from headrace.sql import dialects

app = typer.Typer(no_args_is_help=True, help="The outbox table that the polling publisher reads.")

Config = Annotated[str, typer.Option("--config", help="The relay's configuration. Default: that of its pod.")]


@app.command()
def ddl(table: Table = tables.TABLE, dialect: Dialect = dialects.Dialect.POSTGRESQL) -> None:
    """Print what makes the table, its index and its leases; running it again changes nothing."""
    try:
        output.write(tables.ddl(dialect, table))
    except ValueError as error:
        raise usage(str(error)) from error


@app.command("list")
def list_(
    path: Config = "",
    *,
    form: Output = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to list.")] = 100,
) -> None:
    """List the rows that are FAILED, without their payloads."""
    with _source(path) as source:
        rows = source.failed(limit)
    if rows or form is not Format.TABLE:
        output.write(output.render([_plain(row) for row in rows], columns(rows), form))
    if not rows:
        output.say("No row is FAILED.")
    elif len(rows) == limit:
        output.say(f"The first {limit} are shown; --limit shows more.")


@app.command()
def retry(
    path: Config = "",
    ids: Annotated[list[str] | None, typer.Option("--id", help="A row's id, as list shows it; several times.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All rows that are FAILED.")] = False,
) -> None:
    """Let FAILED rows be published after all: after what their keys have published meanwhile."""
    if every == bool(ids):
        raise usage("which rows is not said, or twice", "Give --id ID, once or more, or --all.")
    with _source(path) as source:
        count = source.retry(ids or ())
    output.say(f"{output.counted(count, 'row')} will be published.")


def columns(rows: Sequence[FailedRow]) -> dict[str, list[str]]:
    """Return the table of ``rows`` as people read it."""
    return {
        "ID": [_text(row.id) for row in rows],
        "MESSAGE": [_text(row.message_id) for row in rows],
        "TYPE": [_text(row.message_type) for row in rows],
        "KEY": [_text(row.key) for row in rows],
        "FAILURES": [str(row.failures or 0) for row in rows],
        "OCCURRED": [_time(row.occurred_at) for row in rows],
        "ERROR": [" ".join((row.last_error or "-").split()) for row in rows],
    }


def _plain(row: FailedRow) -> dict[str, Any]:
    at = row.occurred_at.isoformat() if isinstance(row.occurred_at, date) else row.occurred_at
    values = row._replace(occurred_at=at)._asdict()
    return {name: None if value is None else _text(value) for name, value in values.items()} | {
        "failures": row.failures or 0,
    }


def _time(value: Any) -> str:
    """Return a time to the second; of a column that has none what it has."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, date) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@contextmanager
def _source(path: str) -> Iterator[Source]:
    file = path or os.environ.get("HEADRACE_CONFIG", contract.PATH)
    try:
        settings = contract.load(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        advice = "Run it in the relay's pod (kubectl exec), or name the configuration with --config."
        raise usage(f"no configuration of a relay in {file}: {error}", advice) from error
    with closing(Source(settings)) as source:
        try:
            yield source
        except Trouble as trouble:
            raise unreachable(str(trouble), "The relay itself would say the same; its log has more.") from trouble
