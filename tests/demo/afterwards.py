"""Say how to look around in what the demo leaves running, and how to remove all of it.

It must not do either.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tests.cluster import node

REMOVE = """
  kubectl delete namespace shop kafka monitoring
  helm -n headrace-system uninstall headrace headrace-crds
  kubectl delete crd -l app.kubernetes.io/name=headrace-crds
  kubectl delete namespace headrace-system
  kubectl delete clusterrole,clusterrolebinding headrace-local-prometheus"""


def text(*, is_local: bool) -> str:
    """Return what a person types next, beginning with the line that makes the programs be found."""
    headrace = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
    return f"""
Everything keeps running. To look around:
  {node.export() if is_local else headrace}
  kubectl -n shop get headrace
  headrace status -n shop
  kubectl -n monitoring port-forward svc/prometheus 9090   # then http://localhost:9090
  kubectl -n shop describe consumers.headrace.dev billing
To remove it:{" make down" if is_local else REMOVE}
"""
