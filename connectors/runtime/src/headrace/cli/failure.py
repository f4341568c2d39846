"""What the command line says when it cannot do what it was asked, and the exit code that goes with it.

It must not print: a command raises one of these, and only ``headrace.cli`` turns it into words and a status.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of ``headrace``; scripts rely on them, so they never change their meaning."""

    WELL = 0
    UNWELL = 1
    USAGE = 2
    NOT_FOUND = 3
    FORBIDDEN = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


class Failure(Exception):
    """A command that could not be done: ``what`` was tried on what, and ``remedy``, what the user can do now."""

    def __init__(self, exit_code: Exit, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.exit_code = exit_code
        self.what = what
        self.remedy = remedy


def unwell(what: str, remedy: str = "") -> Failure:
    """Return the failure of something that was reached but is not as it should be."""
    return Failure(Exit.UNWELL, what, remedy)


def usage(what: str, remedy: str = "") -> Failure:
    """Return the failure of a command line that makes no sense."""
    return Failure(Exit.USAGE, what, remedy)


def not_found(what: str, remedy: str = "") -> Failure:
    """Return the failure of naming something that is not there."""
    return Failure(Exit.NOT_FOUND, what, remedy)


def forbidden(what: str, remedy: str = "") -> Failure:
    """Return the failure of lacking a right."""
    return Failure(Exit.FORBIDDEN, what, remedy)


def unreachable(what: str, remedy: str = "") -> Failure:
    """Return the failure of something that did not answer."""
    return Failure(Exit.UNREACHABLE, what, remedy)
