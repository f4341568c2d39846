"""Fill one of the demo's manifests and apply it, as its reader could with envsubst.

It must not know what the manifests are for.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from string import Template

from tests.cluster.places import ROOT

from .reach import Reach

FOLDER = Path(__file__).with_name("manifests")


def apply(reach: Reach, manifest: str, **values: str) -> None:
    """Show and apply ``manifest``, a file of `FOLDER`, with ``values`` filled in. Raises DemoError."""
    file = FOLDER / manifest
    filled = " ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
    print(f"  $ {filled} envsubst < {file.relative_to(ROOT)} | kubectl apply -f -", flush=True)
    reach.run("kubectl", "apply", "-f", "-", stdin=Template(file.read_text()).substitute(values))
