"""The alerts, as data: what fires, after how long, how loud, what is said, and the command to type next.

Thresholds of a pipeline are metrics (`headrace_consumer_slo_lag_seconds`), so no rule is edited per tenant. A new
operator pod has new series: figures of the operator are read with `max by` or `min by`, never summed. Each alert is
about something that exists, and fires only once it has been so for as long as it says: windows reach over two scrapes
that fail, `told` over a restart of the operator, and each time to wait is longer than both. One cause has one critical
alert: what follows from it is silent. It reads and writes no file.
"""

from __future__ import annotations

from typing import Any

from dashboards.src import snapshots
from dashboards.src.alert import KUBECTL, NAMESPACE, Alert
from dashboards.src.series import GAP, last, risen, told

CONSUMER = f"{NAMESPACE}, pipeline, consumer"
CONNECTOR = f"{NAMESPACE}, pipeline, connector"
RELAY = f"{NAMESPACE}, pipeline, outbox_relay"
RESOURCE = f"{NAMESPACE}, pipeline, kind, name"
WHO = "{{ $labels.resource_namespace }}/{{ $labels.consumer }}"
SOURCE = "{{ $labels.resource_namespace }}/{{ $labels.connector }}"
OUTBOX = "{{ $labels.resource_namespace }}/{{ $labels.outbox_relay }}"
OBJECT = "{{ $labels.kind }} {{ $labels.resource_namespace }}/{{ $labels.name }}"
READY = 'headrace_resource_condition{condition="Ready", status="True"}'
NOT_READY = told(READY.replace("status=", "status!="))
RELAYS = told('headrace_resource_condition{kind="OutboxRelay", condition="Accepted"}')
OF_SOURCES = 'headrace_resource_condition{kind="Connector", condition=~"SlotHealthy|Streaming", status="True"}'
SOURCE_WRONG = told(OF_SOURCES.replace('"True"', '"False"'))
CONNECTOR_RUNS = told('headrace_connector_state{state="RUNNING"}')
RECORDS = {
    "headrace:operator_settled": "max by (namespace) (headrace_build_info"
    " and on (namespace, pod, instance) time() - process_start_time_seconds > 120)",
    "headrace:consumer_exists": f"max by ({CONSUMER}) ({told('headrace_consumer_desired_replicas')} * 0 + 1"
    " or headrace_consumer_in_flight * 0 + 1)",
    "headrace:connector_exists": f"max by ({CONNECTOR}) ({told('headrace_connector_restarts_total')} * 0 + 1)",
    "headrace:outbox_relay_exists": f'max by ({RELAY}) (label_replace({RELAYS}, "outbox_relay", "$1", "name", "(.*)"))',
    "headrace:resource_not_ready": f"max by ({RESOURCE}) ({NOT_READY}) unless on ({RESOURCE}) {READY}",
    "headrace:source_wrong": f"max by ({RESOURCE}, condition) ({SOURCE_WRONG})"
    f" unless on ({RESOURCE}, condition) {OF_SOURCES}",
    "headrace:connector_runs": f"max by ({CONNECTOR}) ({CONNECTOR_RUNS}) > 0",
    **snapshots.RECORDS,
}
"""What alerts rest on, in this order. A settled operator has had time to look at everything: what it does not tell of
is gone."""

CONSUMER_EXISTS = f"and on ({CONSUMER}) headrace:consumer_exists"
RELAY_EXISTS = f"and on ({RELAY}) headrace:outbox_relay_exists"


def _failed(metric: str) -> str:
    """Return a state that was FAILED within 2 minutes: restarts with back-off make it come and go."""
    failed = f'{metric}{{state="FAILED"}}'
    return (
        f"(max by ({CONNECTOR}) (max_over_time({failed}[2m]) or {told(failed)}) > 0"
        f" and on ({CONNECTOR}) headrace:connector_exists)"
    )


def _not_ready(kinds: str) -> str:
    return f'headrace:resource_not_ready{{kind=~"{kinds}"}}'


def _false(condition: str) -> str:
    """Return the Connectors of which a condition is false, though they are Ready."""
    found = f'headrace:source_wrong{{condition="{condition}"}}'
    return f"max by ({RESOURCE}) ({found}) unless on ({RESOURCE}) headrace:resource_not_ready"


def _as_resource(expr: str) -> str:
    """Return what is told of connectors as told of resources."""
    named = f'label_replace({expr}, "name", "$1", "connector", "(.*)")'
    return f'label_replace({named}, "kind", "Connector", "", "")'


PARTITION = f"{CONSUMER}, topic, partition"
REFUSED = "headrace_consumer_dead_letter_failures_total"
LETTERS_REFUSED = (
    f"sum by ({CONSUMER}) (irate({REFUSED}[4m]) > 0 or increase({REFUSED}[1m]) > 0"
    f" or increase({REFUSED}[4m]) > 0 and resets({REFUSED}[4m]) > 0) > 0"
)
"""Now: between the last two scrapes or, where these are closer than attempts, which are up to 10 s apart, in the last
minute; a pod that restarted is given the time to fail again."""

STANDS_STILL = (
    f"count by ({CONSUMER}) (min by ({PARTITION}) (min_over_time(headrace_consumer_lag_messages[{GAP}])) > 0"
    f" unless on ({PARTITION}) ({risen('headrace_consumer_committed_offset', PARTITION, '4m')})) {CONSUMER_EXISTS}"
)
OUTSTANDING = "headrace_dlq_outstanding_messages"
WAITED_AN_HOUR = (
    f"min by ({CONSUMER}) (min_over_time({OUTSTANDING}[1h])) > 0"
    f" and on ({CONSUMER}) present_over_time({OUTSTANDING}[10m] offset 1h) {CONSUMER_EXISTS}"
)
RETRIED = 'headrace_consumer_attempts_total{outcome="retry"}[10m]'
RETRIES = (
    f"sum by ({CONSUMER}) (rate({RETRIED})) / sum by ({CONSUMER}) (rate(headrace_consumer_attempts_total[10m])) > 0.1"
    f" and on ({CONSUMER}) sum by ({CONSUMER}) (increase({RETRIED})) > 10 {CONSUMER_EXISTS}"
)
CONNECTOR_FAILED, TASK_FAILED = _failed("headrace_connector_state"), _failed("headrace_connector_tasks")
KAFKA_NOT_READY = _not_ready("KafkaConnection")
CONNECT_NOT_READY = _not_ready("ConnectCluster")
PASSES = "headrace_operator_reconciliations_total"
NO_PASSES = (
    f'sum by (namespace) (rate({PASSES}{{outcome="ok"}}[4m])) == 0'
    f" and on (namespace) max by (namespace) (last_over_time(headrace_operator_queue_depth[{GAP}])) > 0"
)
TARGET_AWAY = f"(max by ({CONSUMER}) (max_over_time(headrace_consumer_circuit_open[{GAP}])) > 0)"
PAUSED = told('headrace_resource_condition{kind="Consumer", condition="Paused", status="True"}')
NOT_PAUSED = f'unless on ({CONSUMER}) label_replace({PAUSED}, "consumer", "$1", "name", "(.*)")'
"""A Consumer that is paused on purpose wakes nobody for what waits meanwhile."""
ROWS_STAND = (
    f"max by ({RELAY}) (min_over_time(headrace_relay_backlog[{GAP}])) > 0"
    f" unless on ({RELAY}) sum by ({RELAY}) (increase(headrace_relay_published_total[4m])) > 0 {RELAY_EXISTS}"
)
STORE_AWAY = f"(max by ({CONSUMER}) (max_over_time(headrace_consumer_store_away[{GAP}])) > 0)"
CONSUMERS = (
    Alert(
        name="HeadraceTargetAway",
        expr=f"{TARGET_AWAY} {CONSUMER_EXISTS}",
        after="5m",
        severity="critical",
        summary="The target of a Consumer fails, so its records wait.",
        description=f"What {WHO} calls has failed for 5 minutes: records wait, no attempt counts, and none is"
        " dead-lettered for it.",
        next=f"{KUBECTL} logs deploy/{{{{ $labels.consumer }}}}-consumer --since=10m | grep target",
    ),
    Alert(
        name="HeadraceStoreAway",
        expr=f"{STORE_AWAY} {CONSUMER_EXISTS}",
        after="5m",
        severity="critical",
        summary="The store of handled messages does not answer a Consumer, so its records wait.",
        description=f"The store in which {WHO} remembers handled messages has not answered for 5 minutes: records wait,"
        " and no attempt counts.",
        next=f"{KUBECTL} logs deploy/{{{{ $labels.consumer }}}}-consumer --since=10m | grep store",
    ),
    Alert(
        name="HeadraceConsumerStandsStill",
        expr=f"{STANDS_STILL} unless on ({CONSUMER}) {LETTERS_REFUSED} unless on ({CONSUMER}) {TARGET_AWAY}"
        f" unless on ({CONSUMER}) {STORE_AWAY} {NOT_PAUSED}"
        f" unless on ({NAMESPACE}) {KAFKA_NOT_READY}",
        after="15m",
        severity="critical",
        summary="A Consumer has records to handle and commits nothing.",
        description=f"{WHO} has had records to handle and committed nothing for 15 minutes, on {{{{ $value }}}}"
        " of its partitions.",
        next=f"{KUBECTL} describe hrc {{{{ $labels.consumer }}}}",
    ),
    Alert(
        name="HeadraceLagAboveTarget",
        expr=f"{last('headrace_consumer_lag_seconds', CONSUMER)} > on ({CONSUMER})"
        f" {last('headrace_consumer_slo_lag_seconds', CONSUMER)} {CONSUMER_EXISTS} {NOT_PAUSED}",
        after="5m",
        severity="warning",
        summary="Records wait longer than the Consumer's target.",
        description=f"The oldest unhandled record of {WHO} has waited {{{{ $value | humanizeDuration }}}}, longer than"
        " targetLagSeconds; effects come late.",
        next=f"{KUBECTL} get hrc {{{{ $labels.consumer }}}} -o jsonpath='{{.status.scaling.message}}'",
    ),
    Alert(
        name="HeadraceRetriesHigh",
        expr=RETRIES,
        after="5m",
        severity="warning",
        summary="More than a tenth of a Consumer's attempts end in a retry.",
        description=f"{{{{ $value | humanizePercentage }}}} of the attempts of {WHO} in the last 10 minutes failed and"
        " are tried again.",
        next=f"{KUBECTL} logs deploy/{{{{ $labels.consumer }}}}-consumer --since=10m | grep failed",
    ),
)
DEAD_LETTERS = (
    Alert(
        name="HeadraceDeadLetterNotWritten",
        expr=f"{LETTERS_REFUSED} {CONSUMER_EXISTS} unless on ({NAMESPACE}) {KAFKA_NOT_READY}",
        after="6m",
        severity="critical",
        summary="Kafka does not take a Consumer's dead letters.",
        description=f"{WHO} could not write dead letters for 5 minutes; their partitions stand still until it can.",
        next=f"{KUBECTL} logs deploy/{{{{ $labels.consumer }}}}-consumer --since=10m | grep 'dead letter'",
    ),
    Alert(
        name="HeadraceDeadLetterArrived",
        expr=f"{risen('headrace_dlq_messages', CONSUMER, '10m')} {CONSUMER_EXISTS}",
        after="0s",
        severity="warning",
        summary="A record could not be handled and became a dead letter.",
        description=f"{WHO} wrote {{{{ $value }}}} dead letters in the last 10 minutes.",
        next="headrace dlq list {{ $labels.consumer }} -n {{ $labels.resource_namespace }}",
    ),
    Alert(
        name="HeadraceDeadLettersOutstanding",
        expr=WAITED_AN_HOUR,
        after="5m",
        severity="warning",
        summary="Dead letters have waited for a decision for over an hour.",
        description=f"At least {{{{ $value }}}} dead letters of {WHO} are not redriven; their effects are missing.",
        next="headrace dlq list {{ $labels.consumer }} -n {{ $labels.resource_namespace }}",
    ),
)
CONNECTORS = (
    Alert(
        name="HeadraceKafkaNotReady",
        expr=KAFKA_NOT_READY,
        after="5m",
        severity="critical",
        summary="The operator cannot work with a Kafka.",
        description=f"{OBJECT} is not Ready: Kafka does not answer or refuses the login.",
        next=f"{KUBECTL} describe hrkafka {{{{ $labels.name }}}}",
    ),
    Alert(
        name="HeadraceConnectNotReady",
        expr=f"{CONNECT_NOT_READY} unless on ({NAMESPACE}) {KAFKA_NOT_READY}",
        after="5m",
        severity="critical",
        summary="Connect workers are absent or do not answer.",
        description=f"{OBJECT} is not Ready: its connectors capture nothing while no worker runs.",
        next=f"{KUBECTL} describe hrconnect {{{{ $labels.name }}}}",
    ),
    Alert(
        name="HeadraceConnectorFailed",
        expr=f"{CONNECTOR_FAILED} unless on ({NAMESPACE}) {KAFKA_NOT_READY}",
        after="5m",
        severity="critical",
        summary="A connector has failed.",
        description=f"Connector {SOURCE} is FAILED: no changes are captured, and the database keeps its log for it.",
        next=f"{KUBECTL} describe hrconn {{{{ $labels.connector }}}}",
    ),
    Alert(
        name="HeadraceTaskFailed",
        expr=f"{TASK_FAILED} unless on ({CONNECTOR}) {CONNECTOR_FAILED} unless on ({NAMESPACE}) {KAFKA_NOT_READY}",
        after="5m",
        severity="critical",
        summary="A connector's task has failed.",
        description=f"{{{{ $value }}}} tasks of Connector {SOURCE} fail; restarts by Headrace did not help yet.",
        next=f"{KUBECTL} describe hrconn {{{{ $labels.connector }}}}",
    ),
    Alert(
        name="HeadraceConnectorStandsStill",
        expr=f"{_false('Streaming')} and on ({NAMESPACE}, kind, name) {_as_resource('headrace:connector_runs')}",
        after="5m",
        severity="critical",
        summary="A connector says that it runs, and does not follow its database.",
        description=f"{OBJECT} commits nothing while its database goes on: no changes are captured, though all looks"
        " well to Kafka Connect.",
        next=f"{KUBECTL} describe hrconn {{{{ $labels.name }}}}",
    ),
    Alert(
        name="HeadraceSlotAtRisk",
        expr=_false("SlotHealthy"),
        after="10m",
        severity="warning",
        summary="A replication slot is not read, or keeps more and more.",
        description=f"The slot of {OBJECT} is not read, will be lost soon, or fills the disk of its database.",
        next=f"{KUBECTL} describe hrconn {{{{ $labels.name }}}}",
    ),
    Alert(
        name="HeadraceResourceNotReady",
        expr=f"{_not_ready('Connector|Consumer|OutboxRelay')}"
        f" unless on ({NAMESPACE}) {_not_ready('KafkaConnection|ConnectCluster')}"
        f" unless on ({NAMESPACE}, kind, name) {_as_resource(TASK_FAILED)}"
        f" unless on ({NAMESPACE}, kind, name) {_as_resource(CONNECTOR_FAILED)}",
        after="10m",
        severity="warning",
        summary="A Connector, Consumer or OutboxRelay has not been Ready for ten minutes.",
        description=f"{OBJECT} is not Ready, and no failed task, Connect or Kafka explains it; its conditions say why.",
        next=f"{KUBECTL} describe {{{{ $labels.kind }}}} {{{{ $labels.name }}}}",
    ),
)
OUTBOXES = (
    Alert(
        name="HeadraceOutboxStandsStill",
        expr=f"{ROWS_STAND} unless on ({NAMESPACE}) {KAFKA_NOT_READY}",
        after="15m",
        severity="critical",
        summary="An outbox has rows to publish, and its relay publishes none.",
        description=f"OutboxRelay {OUTBOX} has had pending rows for 15 minutes ({{{{ $value }}}} now) and published"
        " none.",
        next=f"{KUBECTL} describe hrrelay {{{{ $labels.outbox_relay }}}}",
    ),
    Alert(
        name="HeadraceOutboxBacklogOld",
        expr=f"{last('headrace_relay_oldest_pending_seconds', RELAY)} > 300 {RELAY_EXISTS}",
        after="10m",
        severity="warning",
        summary="Rows of an outbox wait for more than five minutes.",
        description=f"The first pending row of OutboxRelay {OUTBOX} is {{{{ $value | humanizeDuration }}}} old; effects"
        " come late.",
        next=f"{KUBECTL} describe hrrelay {{{{ $labels.outbox_relay }}}}",
    ),
    Alert(
        name="HeadraceOutboxRowsFailed",
        expr=f"{last('headrace_relay_failed_rows', RELAY)} > 0 {RELAY_EXISTS}",
        after="10m",
        severity="warning",
        summary="Rows of an outbox were given up.",
        description=f"{{{{ $value }}}} rows of OutboxRelay {OUTBOX} are FAILED: Kafka refused them, and their"
        " effects are missing.",
        next=f"{KUBECTL} exec deploy/{{{{ $labels.outbox_relay }}}}-relay -- headrace outbox list",
    ),
)
OPERATOR = (
    Alert(
        name="HeadraceOperatorDown",
        expr="absent(headrace_build_info)",
        after="5m",
        severity="critical",
        namespace="namespace",
        summary="No Headrace operator is seen.",
        description="Prometheus scrapes no Headrace operator. Data keeps flowing, but nothing is healed or scaled, and"
        " the other alerts see nothing.",
        next="kubectl get pods -A -l app.kubernetes.io/name=headrace",
    ),
    Alert(
        name="HeadraceOperatorNotReconciling",
        expr=NO_PASSES,
        after="10m",
        severity="critical",
        namespace="namespace",
        summary="The operator runs and no pass over a resource succeeds.",
        description="Resources wait, and the operator finished no pass over any of them for 10 minutes.",
        next="kubectl -n {{ $labels.namespace }} logs deploy/headrace-operator --since=10m",
    ),
    Alert(
        name="HeadraceReconcileFailing",
        expr=f'sum by (namespace, kind) (increase({PASSES}{{outcome!="ok"}}[5m])) > 3'
        f" unless on (namespace) ({NO_PASSES})",
        after="20m",
        severity="warning",
        namespace="namespace",
        summary="Passes over some resource keep failing.",
        description="Passes over {{ $labels.kind }}s failed {{ $value | humanize }} times in 5 minutes, for a quarter"
        " of an hour; what they should change is not changed.",
        next="kubectl -n {{ $labels.namespace }} logs deploy/headrace-operator --since=10m | grep {{ $labels.kind }}",
    ),
)
GROUPS = {
    "headrace.consumers": CONSUMERS,
    "headrace.dead-letters": DEAD_LETTERS,
    "headrace.connectors": CONNECTORS,
    "headrace.snapshots": snapshots.SNAPSHOTS,
    "headrace.outboxes": OUTBOXES,
    "headrace.operator": OPERATOR,
}


def groups() -> dict[str, Any]:
    """Return the content of a Prometheus rule file."""
    records = [{"record": name, "expr": expr} for name, expr in RECORDS.items()]
    alerts = {name: [one.rule() for one in every] for name, every in GROUPS.items()}
    return {"groups": [{"name": name, "rules": rules} for name, rules in {"headrace.seen": records, **alerts}.items()]}
