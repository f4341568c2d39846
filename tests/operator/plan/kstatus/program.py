"""The real kstatus as a program, which tests ask what it concludes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster import program
from tests.waiting import PATIENCE


def conclude(objects: Sequence[dict[str, Any]]) -> list[str]:
    """Return what kstatus concludes from each object: Current, InProgress, Failed, …

    Raises ClusterError when the program cannot be built, and ``AssertionError`` when it refuses an object.
    """
    done = subprocess.run(
        [program.ensure(Path(__file__).parent)],
        input=json.dumps(objects),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    concluded: list[str] = json.loads(done.stdout)
    return concluded
