"""Ports that tests are given."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import ports

OTHER = """
import sys
from tests import ports
ports.LOWEST, ports.HIGHEST = 29_900, 29_930
print(*ports.free_ports(8), flush=True)
sys.stdin.read()
"""


def test_a_port_is_given_once_though_nothing_listens_on_it_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to this process again nor to another one."""
    monkeypatch.setattr(ports, "LOWEST", 29_900)
    monkeypatch.setattr(ports, "HIGHEST", 29_930)
    mine = [ports.free_port() for _ in range(8)]
    with subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdin
        theirs = list(map(int, other.stdout.readline().split()))
        other.stdin.close()
    assert len({*mine, *theirs}) == 16
