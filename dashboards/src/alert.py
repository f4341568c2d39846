"""One alert, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

RUNBOOKS = "dashboards/runbooks"
"""Where the pages are; the chart's value `monitoring.runbooks` puts a web address in its place."""

NAMESPACE = "resource_namespace"
"""The label that tells which namespace a series is about."""

KUBECTL = f"kubectl -n {{{{ $labels.{NAMESPACE} }}}}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert: `expr` in PromQL, times as Prometheus writes them, `summary` fixed, the other texts templates.

    `after` is how long it must hold. `namespace` is the label that tells which namespace it is about, and goes to the
    team of.
    """

    name: str
    expr: str
    after: str
    severity: Literal["critical", "warning"]
    namespace: str = NAMESPACE
    summary: str
    description: str
    next: str

    def rule(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.after,
            "labels": {"severity": self.severity, "namespace": f"{{{{ $labels.{self.namespace} }}}}"},
            "annotations": {
                "summary": self.summary,
                "description": f"{self.description} Next: `{self.next}`",
                "runbook_url": f"{RUNBOOKS}/{self.name}.md",
            },
        }
