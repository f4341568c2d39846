"""The relay's SQL, for PostgreSQL and for MySQL, which is MariaDB's too. Pure: it must not run anything.

A *lane* is what is published in order: a row's key, or for a row without one its id. Each value of others is a
parameter; names are quoted. Times are the database's own, in UTC as the session has it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from headrace.outbox import FAILED, PENDING, PROCESSED
from headrace.relay.sharing import BUCKETS

Asked = tuple[str, tuple[Any, ...]]
"""A statement and its parameters."""

MOST_COUNTED = 1_000_000
"""Rows that are counted at most: a backlog beyond is told as this many."""

DELETED_AT_ONCE = 1000

LEASES = "_leases"
"""What follows the table's name in that of the leases' table."""

RELAY = "relay"
"""The lease of the whole outbox, which all replicas of one relay renew."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The table's columns as they are called in it; those of None are missing. ``raw`` ones hold bytes."""

    id: str
    message_id: str
    message_type: str
    payload: str
    status: str
    fail_count: str
    occurred_at: str
    processed_at: str
    key: str | None
    topic: str | None
    traceparent: str | None
    last_error: str | None
    raw: frozenset[str] = frozenset()


class Pending(NamedTuple):
    """Pending rows of buckets, without those of some lanes and routes, each as the database has it."""

    buckets: Collection[int]
    lanes: Collection[Any] = ()
    routes: Collection[Any] = ()


class Dialect(ABC):
    """What differs between databases."""

    now: str
    mark: str
    renewed: str

    def quoted(self, name: str) -> str:
        """Return a name, or SCHEMA.NAME, as the database quotes it."""
        return ".".join(f"{self.mark}{part}{self.mark}" for part in name.split("."))

    def announce(self, table: str, seconds: float) -> str:
        """Return the statement that writes or renews a replica's row; it takes name and holder."""
        return f"INSERT INTO {table} (name, holder, until) VALUES (%s, %s, {self.later(seconds)}) {self.renewed}"

    @abstractmethod
    def text(self, column: str, *, raw: bool) -> str:
        """Return an expression for a column's value as it is published."""

    @abstractmethod
    def words(self, column: str, *, raw: bool) -> str:
        """Return an expression for a column's value as people are shown it; bytes by their hexadecimal digits."""

    @abstractmethod
    def size(self, text: str) -> str:
        """Return an expression for the bytes of what `text` returns."""

    @abstractmethod
    def lane(self, columns: Sequence[str]) -> str:
        """Return an expression for the first of these values that is not NULL, compared by its bytes."""

    @abstractmethod
    def bucket(self, lane: str) -> str:
        """Return an expression for a lane's bucket."""

    @abstractmethod
    def among(self, expression: str, values: Collection[Any], *, other: bool = False) -> Asked:
        """Return the condition that a value is one of these, or with ``other`` none of them."""

    @abstractmethod
    def later(self, seconds: float) -> str:
        """Return an expression for the time in so many seconds."""

    @abstractmethod
    def seconds_since(self, expression: str) -> str:
        """Return an expression for the seconds since a time."""

    @abstractmethod
    def insert_missing(self, table: str, columns: str, rows: str) -> str:
        """Return the insertion of rows, of which those that are there stay."""

    @abstractmethod
    def delete_old(self, table: str, identity: str, where: str, order: str) -> str:
        """Return the deletion of some rows, the oldest first."""


class Statements:
    """The statements about one outbox and its leases."""

    def __init__(self, dialect: Dialect, table: str, columns: Found) -> None:
        self._dialect = dialect
        self._columns = columns
        self._table = dialect.quoted(table)
        self._lane = dialect.lane([name for name in (columns.key, columns.id) if name])

    def look(self, most: int, of: Pending, largest: int | None = None) -> Asked:
        """Return what reads the first pending rows, each with the bytes of its payload behind all else.

        With ``largest`` payloads of more bytes are left out.
        """
        buckets, lanes, routes = of
        conditions = [self._of(buckets)] if len(buckets) < BUCKETS else []
        conditions += [self._dialect.among(self._lane, lanes, other=True)] if lanes else []
        conditions += [self._dialect.among(self._route, routes, other=True)] if routes else []
        where = "".join(f" AND {condition}" for condition, _ in conditions)
        given = tuple(value for _, values in conditions for value in values)
        return (
            f"SELECT {', '.join(self._read(largest))} FROM {self._table}"
            f" WHERE {self._is(PENDING)}{where} {self._in_order} LIMIT {most}",
            given,
        )

    def rehearsals(self, *, deletes: bool) -> list[tuple[str, Asked]]:
        """Return what is done to the outbox, and a statement that changes nothing and is refused where that would be.

        As to a login that may not mark rows, or delete them, and for a time that is none.
        """
        columns = self._columns
        changes = {columns.status: f"'{PROCESSED}'", columns.processed_at: self._dialect.now}
        changes |= {name: self._name(name) for name in (columns.fail_count, columns.last_error) if name}
        changed = ", ".join(f"{self._name(name)} = {value}" for name, value in changes.items())
        tried = {
            "mark rows in": f"UPDATE {self._table} SET {changed}",
            f"tell by {columns.occurred_at} how old rows are in": f"SELECT {self._age} FROM {self._table}",
            **({"delete from": f"DELETE FROM {self._table}"} if deletes else {}),
        }
        return [(what, (f"{statement} WHERE 1 = 0", ())) for what, statement in tried.items()]

    def processed(self, ids: Collection[Any]) -> Asked:
        """Return what marks rows as acknowledged by Kafka."""
        of, given = self._dialect.among(self._name(self._columns.id), ids)
        done = self._name(self._columns.processed_at)
        changed = f"{self._name(self._columns.status)} = '{PROCESSED}', {done} = {self._dialect.now}"
        return f"UPDATE {self._table} SET {changed} WHERE {of} AND {self._is(PENDING)}", given

    def refused(self, id: Any, why: str, *, failed: bool) -> Asked:
        """Return what counts a failure of a row, which is its last one where it has ``failed``."""
        count = self._name(self._columns.fail_count)
        changes, given = [f"{count} = COALESCE({count}, 0) + 1"], []
        if failed:
            changes.append(f"{self._name(self._columns.status)} = '{FAILED}'")
        if self._columns.last_error:
            changes.append(f"{self._name(self._columns.last_error)} = %s")
            given.append(why)
        where = f"{self._name(self._columns.id)} = %s AND {self._is(PENDING)}"
        return f"UPDATE {self._table} SET {', '.join(changes)} WHERE {where}", (*given, id)

    def failed(self, most: int) -> Asked:
        """Return what reads the first failed rows: id, message, type, key, failures, time and Kafka's last words.

        The id is as `retry` takes it.
        """
        columns = self._columns
        texts = (columns.message_id, columns.message_type, columns.key)
        read = [
            self._words,
            *("NULL" if name is None else self._text(name) for name in texts),
            self._name(columns.fail_count),
            self._name(columns.occurred_at),
            "NULL" if columns.last_error is None else self._name(columns.last_error),
        ]
        return f"SELECT {', '.join(read)} FROM {self._table} WHERE {self._is(FAILED)} {self._in_order} LIMIT {most}", ()

    def retry(self, ids: Collection[Any]) -> Asked:
        """Return what lets failed rows be published after all; without ``ids`` all of them."""
        changed = f"{self._name(self._columns.status)} = '{PENDING}', {self._name(self._columns.fail_count)} = 0"
        of, given = self._dialect.among(self._words, ids) if ids else ("1 = 1", ())
        return f"UPDATE {self._table} SET {changed} WHERE {self._is(FAILED)} AND {of}", given

    def figures(self) -> Asked:
        """Return what counts pending and failed rows, and tells the age of the oldest pending one in seconds."""
        pending, failed = (self._count(status) for status in (PENDING, FAILED))
        first = f"{self._table} WHERE {self._is(PENDING)} {self._in_order} LIMIT 1"
        return f"SELECT {pending}, {failed}, (SELECT {self._age} FROM {first})", ()

    def delete_processed(self, age: float) -> Asked:
        """Return what deletes some of the rows that were processed longer ago than ``age`` seconds."""
        done = self._name(self._columns.processed_at)
        where = f"{self._is(PROCESSED)} AND {done} < {self._dialect.later(-age)}"
        return self._dialect.delete_old(self._table, self._name(self._columns.id), where, done), ()

    def _read(self, largest: int | None) -> list[str]:
        columns = self._columns
        payload = self._text(columns.payload)
        size = f"COALESCE({self._dialect.size(payload)}, 0)"
        optional = (columns.key, columns.topic, columns.traceparent)
        return [
            self._name(columns.id),
            self._name(columns.fail_count),
            self._lane,
            self._route,
            self._text(columns.message_id),
            self._text(columns.message_type),
            payload if largest is None else f"CASE WHEN {size} <= {largest} THEN {payload} END",
            *("NULL" if name is None else self._text(name) for name in optional),
            size,
        ]

    @property
    def _in_order(self) -> str:
        """By the table's own column: PostgreSQL takes the bare name also for that of an expression that is read."""
        return f"ORDER BY {self._table}.{self._name(self._columns.id)}"

    @property
    def _words(self) -> str:
        name = self._columns.id
        return self._dialect.words(self._name(name), raw=name in self._columns.raw)

    @property
    def _age(self) -> str:
        return self._dialect.seconds_since(self._name(self._columns.occurred_at))

    @property
    def _route(self) -> str:
        names = (self._columns.topic, self._columns.message_type)
        found = (f"NULLIF({self._dialect.lane([name])}, '')" for name in names if name)
        return f"COALESCE({', '.join(found)}, '')"

    def _of(self, buckets: Collection[int]) -> Asked:
        return self._dialect.among(self._dialect.bucket(self._lane), buckets)

    def _text(self, name: str) -> str:
        return self._dialect.text(self._name(name), raw=name in self._columns.raw)

    def _count(self, status: str) -> str:
        some = f"SELECT 1 FROM {self._table} WHERE {self._is(status)} LIMIT {MOST_COUNTED}"
        return f"(SELECT COUNT(*) FROM ({some}) AS counted)"

    def _is(self, status: str) -> str:
        return f"{self._name(self._columns.status)} = '{status}'"

    def _name(self, column: str) -> str:
        return self._dialect.quoted(column)


class LeaseStatements:
    """The statements about the leases of an outbox: a row for its relay, for each bucket, and for each replica."""

    def __init__(self, dialect: Dialect, table: str, seconds: float) -> None:
        self._dialect = dialect
        self._seconds = seconds
        self._table = dialect.quoted(table + LEASES)

    def prepare(self) -> Asked:
        """Return what makes the rows of the relay and of the buckets, where they are missing."""
        names = (RELAY, *map(bucket_name, range(BUCKETS)))
        rows = ", ".join(f"('{name}', '', {self._dialect.now})" for name in names)
        return self._dialect.insert_missing(self._table, "name, holder, until", rows), ()

    def claim(self, relay: str) -> Asked:
        """Return what takes or renews the whole outbox for a relay, where no other has it."""
        return self._lease("name = %s", (RELAY,), relay)

    def owner(self) -> Asked:
        """Return what reads which relay has the outbox."""
        return f"SELECT holder FROM {self._table} WHERE name = %s", (RELAY,)

    def announce(self, own: str) -> Asked:
        """Return what says that a replica lives."""
        return self._dialect.announce(self._table, self._seconds), (f"replica/{own}", own)

    def all(self) -> Asked:
        """Return what reads name, holder, and whether the lease is live."""
        return f"SELECT name, holder, until > {self._dialect.now} FROM {self._table}", ()

    def take(self, buckets: Collection[int], own: str) -> Asked:
        """Return what takes or renews buckets that nobody else holds."""
        return self._lease(*self._dialect.among("name", [bucket_name(number) for number in buckets]), own)

    def _lease(self, of: str, given: tuple[Any, ...], own: str) -> Asked:
        changed = f"holder = %s, until = {self._dialect.later(self._seconds)}"
        free = f"(holder = %s OR until <= {self._dialect.now})"
        return f"UPDATE {self._table} SET {changed} WHERE {of} AND {free}", (own, *given, own)

    def held(self, own: str) -> Asked:
        """Return what reads the names of the buckets that a replica holds."""
        where = f"holder = %s AND until > {self._dialect.now} AND name LIKE 'bucket/%%'"
        return f"SELECT name FROM {self._table} WHERE {where}", (own,)

    def release(self, buckets: Collection[int], own: str) -> Asked:
        """Return what gives buckets up."""
        of, given = self._dialect.among("name", [bucket_name(number) for number in buckets])
        return f"UPDATE {self._table} SET until = {self._dialect.now} WHERE {of} AND holder = %s", (*given, own)

    def leave(self, own: str) -> Asked:
        """Return what forgets a replica, and those that have not been heard of for long."""
        gone = f"until < {self._dialect.later(-10 * self._seconds)}"
        return f"DELETE FROM {self._table} WHERE name = %s OR (name LIKE 'replica/%%' AND {gone})", (f"replica/{own}",)


def bucket_name(number: int) -> str:
    """Return the name of a bucket's row."""
    return f"bucket/{number:02d}"
