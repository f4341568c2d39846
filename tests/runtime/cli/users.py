"""A user of a real API server with no more rights than a page of the guide shows, and what she types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import yaml

from tests.cluster.client import refusal
from tests.cluster.fast import ApiServer
from tests.waiting import PATIENCE, until


def ada(server: ApiServer, page: Path, kind: str, name: str) -> Path:
    """Give Ada the rights of the page, wait until she may change the resource in ``shop``; return her kubeconfig."""
    found = re.search(r"```yaml\n(apiVersion: rbac.*?)```", page.read_text(), re.DOTALL)
    assert found
    role = yaml.safe_load(found.group(1))
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "ada", "namespace": "shop"},
        "roleRef": reference,
        "subjects": [{"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    server.client.apply((role, binding))
    config = server.kubeconfig_for("ada")
    touch = partial(server.client.patch, kind, name, {}, "shop", who="ada")
    until("her rights", lambda: not refusal(touch))
    return config


def headrace(kubeconfig: Path, *words: str, text: str = "") -> tuple[int, str, str]:
    """Run the command with the user's kubeconfig, and ``text`` to read; return its code, output and complaints."""
    done = subprocess.run(
        [sys.executable, "-c", "from headrace.cli import app; app()", *words, "--kubeconfig", str(kubeconfig)],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return done.returncode, done.stdout, done.stderr
