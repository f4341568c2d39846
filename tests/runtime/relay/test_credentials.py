"""Who vouches for a database of which the contract names no authority."""

from __future__ import annotations

import pytest

from headrace import mounted
from headrace.config import Tls
from headrace.relay import credentials


def test_the_systems_authorities_are_those_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the OpenSSL that a driver brings, which has none."""
    monkeypatch.delenv(credentials.OVERRIDE, raising=False)

    assert mounted.authority(credentials.authorities(Tls())).count(b"BEGIN CERTIFICATE") > 50
