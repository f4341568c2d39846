"""Tests are the same in any shell: also in one that was given what `make up` prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOOK = "import os, tests.conftest; print(*sorted({'KUBECONFIG', 'PGHOST', 'PGSSLMODE', 'PATH'} & os.environ.keys()))"


def test_what_a_shell_exports_for_its_own_cluster_and_database_is_left_out() -> None:
    exported = {"KUBECONFIG": "/nowhere", "PGHOST": "example.org", "PGSSLMODE": "verify-full"}
    environment = {**os.environ, **exported}
    found = subprocess.check_output([sys.executable, "-c", LOOK], env=environment, cwd=Path(__file__).parents[1])

    assert found == b"PATH\n"
