"""uv and pip as `make` installs them: in one environment of the cache, found by what `uv run` says of itself.

Only finds them.
"""

import os
import shutil
from pathlib import Path

from tests.cluster.failure import ClusterError


def uv() -> str:
    """Give the program uv. Raises ClusterError when it is not there."""
    found = os.environ.get("UV") or shutil.which("uv")
    if not found or not Path(found).exists():
        raise ClusterError("uv is not on this machine", advice="run this through make, which installs it")
    return found


def pip() -> str:
    """Give the pip that stands beside uv, else the machine's. Raises ClusterError when there is neither."""
    beside = Path(uv()).with_name("pip")
    found = str(beside) if beside.exists() else shutil.which("pip")
    if not found:
        raise ClusterError("pip is not on this machine", advice="run this through make, which installs it")
    return found
