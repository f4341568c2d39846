"""Texts and certificates among the values of a Secret; an error names the Secret and its key, and no value."""

from __future__ import annotations

from collections.abc import Mapping

from headrace_operator.clients import errors


def text(values: Mapping[str, bytes], secret: str, key: str) -> str:
    """Return the text under ``key`` without the line break at its end; raises `Invalid` where there is none."""
    if key not in values:
        raise errors.Invalid(f"Secret {secret} has no key {key}: add it.")
    try:
        return values[key].decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise errors.Invalid(f"Key {key} of Secret {secret} is not text: name the key that holds text.") from error


def certificates(text: str) -> str:
    """Return PEM as Python takes it, in ASCII: what stands beside the certificates may be in any language."""
    return text.encode("ascii", "ignore").decode().strip()
