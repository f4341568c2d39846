"""The alerts, as data: what fires, after how long, how loud, and what is said.

Thresholds of a pipeline are metrics (`headrace_consumer_slo_lag_seconds`), so no rule is edited per tenant. It reads
and writes no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

RUNBOOKS = "dashboards/runbooks"
CONSUMER = "resource_namespace, pipeline, consumer"
CONNECTOR = "resource_namespace, pipeline, connector"
WHO = "{{ $labels.resource_namespace }}/{{ $labels.consumer }}"
SOURCE = "{{ $labels.resource_namespace }}/{{ $labels.connector }}"
OBJECT = "{{ $labels.kind }} {{ $labels.resource_namespace }}/{{ $labels.name }}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert: `expr` in PromQL, `wait` a Prometheus duration, `summary` fixed, `description` a template."""

    name: str
    expr: str
    wait: str
    severity: Literal["critical", "warning"]
    summary: str
    description: str

    def rule(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.wait,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOKS}/{self.name}.md",
            },
        }


CONSUMERS = (
    Alert(
        name="HeadraceLagAboveTarget",
        expr=f"max by ({CONSUMER}) (headrace_consumer_lag_seconds) > on ({CONSUMER})"
        f" max by ({CONSUMER}) (headrace_consumer_slo_lag_seconds)",
        wait="5m",
        severity="warning",
        summary="Records wait longer than the Consumer's target.",
        description=f"The oldest unhandled record of {WHO} has waited {{{{ $value | humanizeDuration }}}},"
        " longer than targetLagSeconds.",
    ),
    Alert(
        name="HeadraceConsumerStandsStill",
        expr=f"max by ({CONSUMER}, topic, partition) (min_over_time(headrace_consumer_lag_messages[10m])) > 0"
        f" unless on ({CONSUMER}, topic, partition)"
        f" max by ({CONSUMER}, topic, partition) (changes(headrace_consumer_committed_offset[10m])) > 0",
        wait="5m",
        severity="critical",
        summary="A Consumer has records to handle and commits nothing.",
        description=f"{WHO} committed nothing for 10 minutes on partition {{{{ $labels.partition }}}} of"
        " {{ $labels.topic }}, where at least {{ $value }} records wait.",
    ),
    Alert(
        name="HeadraceRetriesHigh",
        expr=f'sum by ({CONSUMER}) (rate(headrace_consumer_attempts_total{{outcome="retry"}}[5m]))'
        f" / (sum by ({CONSUMER}) (rate(headrace_consumer_attempts_total[5m])) > 0) > 0.1",
        wait="10m",
        severity="warning",
        summary="More than a tenth of a Consumer's attempts end in a retry.",
        description=f"{{{{ $value | humanizePercentage }}}} of the attempts of {WHO} failed and are tried again.",
    ),
)
DEAD_LETTERS = (
    Alert(
        name="HeadraceDeadLetterArrived",
        expr=f"sum by ({CONSUMER}, reason) (increase(headrace_consumer_dead_letters_total[10m])) > 0",
        wait="0s",
        severity="warning",
        summary="A record could not be handled and became a dead letter.",
        description=f"{WHO} wrote dead letters in the last 10 minutes, reason {{{{ $labels.reason }}}}.",
    ),
    Alert(
        name="HeadraceDeadLettersOutstanding",
        expr=f"max by ({CONSUMER}) (headrace_dlq_outstanding_messages) > 0",
        wait="1h",
        severity="warning",
        summary="Dead letters have waited for a decision for over an hour.",
        description=f"{{{{ $value }}}} dead letters of {WHO} are neither redriven nor discarded.",
    ),
    Alert(
        name="HeadraceDeadLetterNotWritten",
        expr=f"sum by ({CONSUMER}) (increase(headrace_consumer_dead_letter_failures_total[10m])) > 0",
        wait="1m",
        severity="critical",
        summary="Kafka does not take a Consumer's dead letters.",
        description=f"{WHO} could not write dead letters; their partitions stand still until it can.",
    ),
)
CONNECTORS = (
    Alert(
        name="HeadraceConnectorFailed",
        expr=f'max by ({CONNECTOR}) (headrace_connector_state{{state="FAILED"}}) == 1',
        wait="2m",
        severity="critical",
        summary="A connector has failed.",
        description=f"Connector {SOURCE} is FAILED: no changes are captured.",
    ),
    Alert(
        name="HeadraceTaskFailed",
        expr=f'sum by ({CONNECTOR}) (headrace_connector_tasks{{state="FAILED"}}) > 0',
        wait="2m",
        severity="critical",
        summary="A connector's task has failed.",
        description=f"{{{{ $value }}}} tasks of Connector {SOURCE} are FAILED; restarts by Headrace did not help yet.",
    ),
    Alert(
        name="HeadraceConnectNotReady",
        expr="max by (resource_namespace, pipeline, kind, name)"
        ' (headrace_resource_condition{kind="ConnectCluster", condition="Ready", status!="True"}) == 1',
        wait="5m",
        severity="critical",
        summary="Connect workers are absent or do not answer.",
        description=f"{OBJECT} is not Ready: its connectors capture nothing while no worker runs.",
    ),
)
OPERATOR = (
    Alert(
        name="HeadraceOperatorDown",
        expr="absent(headrace_build_info)",
        wait="5m",
        severity="critical",
        summary="No Headrace operator is seen.",
        description="Prometheus scrapes no Headrace operator. Data keeps flowing, but nothing is healed or scaled.",
    ),
    Alert(
        name="HeadraceOperatorNotReconciling",
        expr="sum(rate(headrace_operator_reconciliations_total[10m])) == 0"
        " and on () count(headrace_resource_condition) > 0",
        wait="5m",
        severity="critical",
        summary="The operator runs and looks at no resource.",
        description="The operator knows resources and finished no pass over any of them for 10 minutes.",
    ),
    Alert(
        name="HeadraceResourceNotReady",
        expr="max by (resource_namespace, pipeline, kind, name)"
        ' (headrace_resource_condition{kind!="ConnectCluster", condition="Ready", status!="True"}) == 1',
        wait="10m",
        severity="warning",
        summary="A resource has not been Ready for ten minutes.",
        description=f"{OBJECT} is not Ready; its conditions say why.",
    ),
)
GROUPS = {
    "headrace.consumers": CONSUMERS,
    "headrace.dead-letters": DEAD_LETTERS,
    "headrace.connectors": CONNECTORS,
    "headrace.operator": OPERATOR,
}


def groups() -> dict[str, Any]:
    """Return the content of a Prometheus rule file."""
    return {"groups": [{"name": name, "rules": [one.rule() for one in alerts]} for name, alerts in GROUPS.items()]}
