"""Values of headers as bytes, as other tools read them."""

from __future__ import annotations


def cut(text: str, limit: int) -> bytes:
    """UTF-8 of ``text``, whole characters only, at most ``limit`` bytes."""
    return text.encode(errors="replace")[:limit].decode(errors="ignore").encode()


def tail(text: str, limit: int) -> bytes:
    """UTF-8 of the end of ``text``, whole characters only, at most ``limit`` bytes."""
    return text.encode(errors="replace")[-limit:].decode(errors="ignore").encode()


def int32(value: int) -> bytes:
    """Four bytes, big-endian, in two's complement."""
    return value.to_bytes(4, "big", signed=True)


def int64(value: int) -> bytes:
    """Eight bytes, big-endian, in two's complement."""
    return value.to_bytes(8, "big", signed=True)


def big_integer(value: int) -> bytes:
    """Two's complement, big-endian, as few bytes as it takes (Java's ``BigInteger.toByteArray``)."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
