"""A connection to the outbox's database, whichever it is, and what its answers mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from headrace.relay.statements import Asked


class Refused(Exception):
    """The database did not do what it was asked, or cannot be reached; the text has its words."""


class TableMissing(Refused):
    """A table is not there, or this login does not see it."""


class Shape(NamedTuple):
    """A table's columns by name, each with whether it must be read as bytes."""

    columns: Mapping[str, bool]


class Connection(ABC):
    """One connection, each statement committed by itself. All methods raise `Refused`."""

    @abstractmethod
    def run(self, asked: Asked) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""

    @abstractmethod
    def changed(self, asked: Asked) -> int:
        """Run a statement and return how many rows it changed."""

    @abstractmethod
    def shape(self, table: str) -> Shape:
        """Return the columns of a table."""

    @abstractmethod
    def close(self) -> None:
        """Close it; never raises."""
