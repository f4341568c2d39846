"""The outbox as the relay reads and marks it, over one connection that is opened anew where it fails.

Every failure is one `Trouble` that says what was tried, where, what came back and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from headrace import outbox
from headrace.outbox import OPTIONAL, PENDING, PROCESSED, Relay
from headrace.relay.batches import MOST_BYTES, fitting
from headrace.relay.database import Connection, Refused, Shape, TableMissing
from headrace.relay.holds import Holds
from headrace.relay.messages import Row, row
from headrace.relay.statements import LEASES, Asked, Dialect, Found, LeaseStatements, Pending, Statements

Value = TypeVar("Value")


class Trouble(Exception):
    """The database cannot be used now; the text is a sentence for people."""


class Figures(NamedTuple):
    """What the table holds: rows, at most as many as are counted, and seconds, None without pending rows."""

    pending: int
    failed: int
    oldest: float | None


class FailedRow(NamedTuple):
    """A row that was given up, as the database has it; its ``id`` in words."""

    id: str
    message_id: Any
    message_type: Any
    key: Any
    failures: int | None
    occurred_at: Any
    last_error: str | None


class Source:
    """The outbox of one relay. All methods but `close` raise `Trouble`."""

    def __init__(self, settings: Relay) -> None:
        self._settings = settings
        self._dialect, self._connect = _spoken(settings.database)
        self._connection: Connection | None = None
        self._statements: Statements | None = None
        self._shaped = Shape({})
        self._is_rehearsed = False
        self._marked: frozenset[Any] = frozenset()
        self.leases = LeaseStatements(self._dialect, settings.table, settings.lease)
        self.is_ordered: bool | None = None
        """Whether the table has a column for the key; None is not known."""

    def look(self, most: int, buckets: Collection[int], holds: Holds, now: float) -> list[Row]:
        """Return the first pending rows of ``buckets`` that do not wait; none where the table is altered meanwhile."""
        known = self._rehearsed()
        of = Pending(buckets, holds.lanes(now), tuple(holds.routes))
        found = [row(one, self._settings.topic_prefix) for one in self._fitting(known, most, of)]
        if found and self._shape() != self._shaped:
            self._statements = None  # by what it had before, a new column of theirs would be left out
            return []
        self._see_undone(one.id for one in found)
        return found

    def _fitting(self, known: Statements, most: int, of: Pending) -> list[tuple[Any, ...]]:
        """Read as many rows as fit into memory: again, and fewer, where some are larger than their share of it."""
        share = MOST_BYTES // most
        found = self.run("read", known.look(most, of, share))
        sizes = [int(one[-1]) for one in found]
        fits = max(sizes, default=0) <= share
        return [one[:-1] for one in (found if fits else self.run("read", known.look(fitting(sizes), of)))]

    def _see_undone(self, pending: Iterable[Any]) -> None:
        """Mark once more what was just marked and is pending, instead of publishing it again; raises `Trouble`."""
        undone = self._marked.intersection(pending)
        self._marked = frozenset()
        if undone:
            self.processed(undone)
            what = f"{len(undone)} rows that Kafka has were marked {PROCESSED}, and were {PENDING} still"
            raise Trouble(f"{what}: does a trigger, rule or policy of {self._settings.table} undo it?")

    def processed(self, ids: Collection[Any]) -> None:
        """Mark rows as acknowledged by Kafka."""
        self.run("mark rows in", self._known().processed(ids))
        self._marked = frozenset(ids)

    def refused(self, id: Any, why: str, *, failed: bool) -> None:
        """Count a failure of a row, which is its last one where it has ``failed``."""
        self.run("mark a row in", self._known().refused(id, why, failed=failed))

    def figures(self) -> Figures:
        """Return what the table holds."""
        ((pending, failed, oldest),) = self.run("count", self._known().figures())
        return Figures(int(pending), int(failed), None if oldest is None else max(0.0, float(oldest)))

    def failed(self, most: int) -> list[FailedRow]:
        """Return the first failed rows, at most so many."""
        return [FailedRow(*one) for one in self.run("read", self._known().failed(most))]

    def retry(self, ids: Collection[str]) -> int:
        """Let failed rows be published after all, without ``ids`` all of them; return how many there were."""
        return self.changed("mark rows in", self._known().retry(ids))

    def delete_processed(self, age: float) -> int:
        """Delete some of the rows that were processed longer ago than ``age`` seconds; return how many."""
        return self.changed("delete from", self._known().delete_processed(age))

    def changed(self, what: str, asked: Asked) -> int:
        """Run a statement and return how many rows it changed; ``what`` is what it does to the outbox."""
        return self._trying(what, lambda connection: connection.changed(asked))

    def run(self, what: str, asked: Asked) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows; ``what`` is what it does to the outbox."""
        return self._trying(what, lambda connection: connection.run(asked))

    def close(self) -> None:
        """Close the connection; the next call opens another, and looks at the table anew."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._statements = None

    def _known(self) -> Statements:
        if self._statements is None:
            self._shaped, self._is_rehearsed = self._shape(), False
            found = resolve(self._settings, self._shaped.columns)
            self.is_ordered = found.key is not None
            self._statements = Statements(self._dialect, self._settings.table, found)
        return self._statements

    def _rehearsed(self) -> Statements:
        """Return the statements, once it is known that this login may mark what it publishes."""
        known = self._known()
        if not self._is_rehearsed:
            for what, statement in known.rehearsals(deletes=self._settings.retention is not None):
                self.run(what, statement)
            self._is_rehearsed = True
        return known

    def _shape(self) -> Shape:
        return self._trying("look at", lambda connection: connection.shape(self._settings.table))

    def _trying(self, what: str, act: Callable[[Connection], Value]) -> Value:
        try:
            if self._connection is None:
                self._connection = self._opened()
            return act(self._connection)
        except (Refused, OSError) as error:
            missing = isinstance(error, TableMissing)
            self.close()
            raise Trouble(self._told(what, error, missing=missing)) from error

    def _opened(self) -> Connection:
        return self._connect(self._settings.database, self._settings.patience)

    def _told(self, what: str, error: Exception, *, missing: bool) -> str:
        database, table = self._settings.database, self._settings.table
        where = f"{database.name} at {database.host}:{database.port}"
        advice = f"; headrace outbox ddl prints {table} and {table}{LEASES}" if missing else ""
        return f"could not {what} {table} in {where}: {error}{advice}"


def _spoken(database: outbox.Database) -> tuple[Dialect, Callable[[outbox.Database, float], Connection]]:
    """Return its SQL, and what connects to it; the driver of another one is not loaded."""
    if database.dialect == "postgresql":
        from headrace.relay.postgres import Postgres, PostgresConnection

        return Postgres(), PostgresConnection
    from headrace.relay.mysql import MySQL, MySQLConnection

    return MySQL(), MySQLConnection


def resolve(settings: Relay, columns: Mapping[str, bool]) -> Found:
    """Return what the columns of the contract are called in the table; raises `Trouble` naming those it lacks."""
    asked = settings.columns
    found: dict[str, str | None] = {}
    missing = []
    for field in outbox.Columns.model_fields:
        name = getattr(asked, field)
        found[field] = _called(name or OPTIONAL[field], columns)
        if name and found[field] is None:
            missing.append(name)
    if missing:
        names, has = ", ".join(missing), ", ".join(columns)
        raise Trouble(
            f"table {settings.table} has no column {names}, or several that differ in case; it has {has}; "
            "add what is missing, as headrace outbox ddl prints it, or name the columns in columns of the configuration"
        )
    raw = frozenset(name for name, holds_bytes in columns.items() if holds_bytes)
    return Found(**found, raw=raw)  # type: ignore[arg-type]


def _called(name: str, columns: Mapping[str, bool]) -> str | None:
    """Return the column of this name, else the only one that differs in case alone."""
    alike = [one for one in columns if one.lower() == name.lower()]
    return name if name in columns else alike[0] if len(alike) == 1 else None
