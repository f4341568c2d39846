"""Apply what the demo is made of: its manifests, as their reader could with envsubst, and the shop's tables.

It must not know in which order.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from string import Template

from tests.cluster.places import ROOT

from . import shop
from .reach import Reach

FOLDER = Path(__file__).with_name("manifests")


def apply(reach: Reach, manifest: str, **values: str) -> None:
    """Show and apply ``manifest``, a file of `FOLDER`, with ``values`` filled in. Raises DemoError."""
    file = FOLDER / manifest
    filled = " ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
    print(f"  $ {filled} envsubst < {file.relative_to(ROOT)} | kubectl apply -f -", flush=True)
    reach.run("kubectl", "apply", "-f", "-", stdin=Template(file.read_text()).substitute(values))


def tables(reach: Reach, namespace: str) -> None:
    """Show and run the making of the shop's tables in its database. Raises DemoError."""
    sql(reach, namespace, "shop-db", shop.TABLES)


def sql(reach: Reach, namespace: str, database: str, statements: str | Path) -> None:
    """Show and run ``statements`` in a database as its owner, up to the first that fails. Raises DemoError."""
    reach.teach(
        "kubectl", "-n", namespace, "exec", "-i", f"statefulset/{database}", "--", "sh", "-c",
        'PGPASSWORD="$POSTGRES_PASSWORD" psql -qv ON_ERROR_STOP=1 -h localhost -U "$POSTGRES_USER" "$POSTGRES_DB"',
        stdin=statements,
    )  # fmt: skip
