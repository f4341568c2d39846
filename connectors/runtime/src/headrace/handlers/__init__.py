"""The ways in which a record is handled: one module each."""


class Broken(Exception):
    """The handler cannot start as it is configured; the text says what is wrong with it."""
