"""How pages and messages name Headrace's kinds to kubectl: other projects have connectors and consumers, too."""

from __future__ import annotations

import re
from pathlib import Path

from headrace_operator.api.kinds import KINDS

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/*.md",
    "charts/*/README.md",
    "charts/*/templates/NOTES.txt",
    "dashboards/runbooks/*.md",
    "dashboards/rules/*.yaml",
    "operator/examples/*.yaml",
    "operator/src/**/*.py",
    "connectors/agent/src/**/*.py",
    "connectors/runtime/src/**/*.py",
)
NAMES = "|".join(name for kind in KINDS for name in (kind.plural, kind.plural.removesuffix("s")))
BARE = re.compile(rf"kubectl\b[^`\"'\n]*?(?<=[ ,])(?:{NAMES})(?=[ ,/.`\"'\n]|$)(?!\.headrace\.dev)")
"""A command with a plural or singular name that is neither whole nor short."""


def bare(text: str) -> list[str]:
    """Return the commands of a text that name a kind as other projects may, too."""
    return [found[0] for found in BARE.finditer(text)]


def test_every_command_names_a_kind_as_nobody_else_does() -> None:
    """By its whole name, as connectors.headrace.dev, or its short one, as hrconn."""
    found = {
        str(file.relative_to(ROOT)): commands
        for pattern in PAGES
        for file in ROOT.glob(pattern)
        if (commands := bare(file.read_text()))
    }

    assert found == {}


def test_a_bare_name_is_found_in_each_form() -> None:
    assert bare("`kubectl -n shop get connector orders`")
    assert bare("kubectl delete consumers,connectors.headrace.dev --all")
    assert bare("kubectl wait connector/orders --for=condition=Ready")
    assert bare("kubectl explain consumers.spec")
    assert not bare("kubectl get connectors.headrace.dev,consumers.headrace.dev -n shop")
    assert not bare("kubectl logs deploy/billing-consumer; kubectl describe hrconn orders")
    assert not bare("kubectl logs -l headrace.dev/consumer=billing")
