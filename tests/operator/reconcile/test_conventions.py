"""The operator as the chart installs it, on a real API server: its rights, and what it leaves in what users own.

The conventions that hold from the first day, and the tests that hold them; files are below tests/.

- Generation with its conditions, no stale Ready: operator/plan/test_statuses, operator/reconcile/test_generations
- In progress before it was looked at, kstatus' verdicts, nothing stale after a crash: operator/plan/test_kstatus
- A bad edit, what stays in force: operator/plan/test_statuses, and here within ten seconds
- Ready apart from lag, dead letters and scaling: operator/plan/test_statuses
- Own labels only, owner references, bounded rights and pods: operator/plan/test_allowed, here, test_shape (kopf.adopt)
- No defaults in specs, every field described: operator/api/test_crd
- Apply twice, no diff, nothing written but the status, nothing of kopf: here
- Events on transitions, reasons and their page: operator/plan/test_statuses, operator/plan/test_reasons, here
- Columns, categories and short names, rules, typos: operator/api/test_tables, operator/api/test_rules
- What tools and scripts conclude, the commands to wait by: operator/plan/test_gitops; health checks in CEL are none of
  ours, as Flux concludes from kstatus, and rules in CEL are judged by the API server itself, each by a fixture that it
  refuses and one that it takes: operator/api/test_rules, operator/api/test_bounds, operator/api/test_admission
- One version, which takes what the last release took: operator/api/test_promised
- JSON schemas of the kinds, which kubeconform judges the examples by: operator/api/test_published
- Project pages, what it was tried with: test_pages, test_versions
- Values, definitions that outlive the operator, restricted pods: charts/test_headrace, charts/test_install
"""

from __future__ import annotations

import copy
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace_operator.api import crd
from headrace_operator.plan import children
from headrace_operator.plan.reasons import Reason
from tests import lines
from tests.charts.rendering import of, render
from tests.cluster import fast
from tests.operator import worlds
from tests.operator.operator_process import Operator, await_kinds, await_right, kubectl, operator, read
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.apiserver

EXAMPLES = Path(__file__).parents[3] / "operator/examples"
ACCOUNT = "system:serviceaccount:headrace-system:headrace-operator"
LABELS = {"app.kubernetes.io/instance": "argo", "kustomize.toolkit.fluxcd.io/name": "apps", "team": "shop"}
ANNOTATIONS = {"argocd.argoproj.io/tracking-id": "shop:x", "note": "ours"}
KINDS = {
    "kafkaconnection": "kafka",
    "connectcluster": "main",
    "connector": "orders-db",
    "consumer": "billing",
    "outboxrelay": "shipping",
    "snapshot": "customers-2026-11",
}
CHILDREN = "serviceaccounts,roles,rolebindings,configmaps,services,deployments,networkpolicies,poddisruptionbudgets"
OLD = "of the last release"
"""What a contract holds that was made before contracts were named by what they hold."""

Right = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An API server with the operator on it, and what users applied."""

    server: fast.ApiServer
    running: Operator
    manifests: str


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Run the operator with the chart's rights and no others, over the examples, until every kind was looked at.

    Kafka does not answer. The definitions lack one rule, as older ones would, so that a bad edit comes through.
    """
    chart = render("--set", "watch.namespaces={shop}")
    rights = [one for kind in ("ServiceAccount", "Role", "RoleBinding") for one in of(kind, chart)]
    with fast.apiserver() as server:
        _apply(server, _definitions())
        await_kinds(server)
        for namespace in ("shop", "headrace-system"):
            server.client.create_namespace(namespace)
        for one in rights:
            one["metadata"].setdefault("namespace", "headrace-system")
        _apply(server, rights)
        kubectl(server, "create", "secret", "generic", "shop-db", "-n", "shop", "--from-literal=username=a")
        manifests = _manifests()
        _by(server, "alice", manifests)
        _apply(server, [_contract_of_before(server)])
        await_right(server, ACCOUNT, "list", "consumers.headrace.dev", "shop")
        await_right(server, ACCOUNT, "create", "leases.coordination.k8s.io", "headrace-system")
        account = server.kubeconfig_for(ACCOUNT, group="system:serviceaccounts")
        with operator(server, tmp_path_factory.mktemp("operator"), kubeconfig=account) as running:
            for kind, name in KINDS.items():
                until(f"{kind} is looked at", partial(_is_seen, server, kind, name))
            until("the contract of before is taken away", lambda: OLD not in str(_children(server)))
            until("eight children of the ConnectCluster", lambda: len(_children(server)) == 8)
            _turn_an_agent_on_and_off(server)
            yield Installed(server=server, running=running, manifests=manifests)


def test_every_right_is_used_and_none_is_missing(installed: Installed) -> None:
    """What the chart grants is what the audit log has seen."""
    granted, end = _granted(), time.monotonic() + PATIENCE
    while granted - (seen := used(installed.server))["allowed"] and time.monotonic() < end:
        time.sleep(0.2)

    assert seen["refused"] == set()
    assert seen["allowed"] == granted


def test_applying_again_and_by_another_changes_nothing(installed: Installed) -> None:
    server = installed.server
    until("no difference, but for a status that is written just now", partial(_has_no_difference, installed))
    generations = [read(server, kind, name)["metadata"]["generation"] for kind, name in KINDS.items()]
    _by(server, "bob", installed.manifests)
    assert [read(server, kind, name)["metadata"]["generation"] for kind, name in KINDS.items()] == generations


def _has_no_difference(installed: Installed) -> bool:
    difference = subprocess.run(
        [*installed.server.kubectl, "diff", "--server-side", "--field-manager=alice", "-f", "-"],
        input=installed.manifests, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    print(difference.stdout, difference.stderr)
    return (difference.returncode, difference.stdout) == (0, "")


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_nothing_of_a_users_object_is_written_but_its_status(installed: Installed, kind: str, name: str) -> None:
    whole = read(installed.server, kind, name)
    metadata = whole["metadata"]
    ours = [one for one in metadata["managedFields"] if one["manager"] not in ("alice", "bob")]

    assert [(one["manager"], one.get("subresource"), set(one["fieldsV1"])) for one in ours] == [
        ("headrace", "status", {"f:status"})
    ]
    assert metadata["annotations"] == ANNOTATIONS
    assert LABELS.items() <= metadata["labels"].items()
    assert "finalizers" not in metadata
    assert "kopf" not in json.dumps(whole)


def test_children_carry_our_labels_and_none_of_their_owners(installed: Installed) -> None:
    owner = read(installed.server, "connectcluster", "main")
    for child in _children(installed.server):
        metadata = child["metadata"]
        (reference,) = metadata["ownerReferences"]

        assert metadata["labels"] == {
            "app.kubernetes.io/instance": "main",
            "app.kubernetes.io/managed-by": "headrace",
            "app.kubernetes.io/name": "headrace-connect",
            "headrace.dev/connect": "main",
        }
        assert set(metadata["annotations"]) == {"headrace.dev/applied"}
        assert reference == {
            "apiVersion": "headrace.dev/v1alpha1",
            "kind": "ConnectCluster",
            "name": "main",
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }


def test_a_bad_edit_is_named_in_time_and_what_runs_stays(installed: Installed) -> None:
    """Within ten seconds; then healing goes on by the spec that was accepted last."""
    server = installed.server
    before = _versions(server)
    try:
        until("a bad edit is refused in time, unless the machine stands still", partial(_is_refused_in_time, server))
        accepted, stalled = _condition(server, "Accepted", "message"), _condition(server, "Stalled")
        server.client.delete("service", "main-connect", "shop")
        until("the Service is made again", lambda: len(_children(server)) == 8)
        after = _versions(server)
    finally:
        _mend(server)

    assert "spec.workers.config.ssl.key.password" in accepted
    assert stalled == "True"
    assert {**after, "Service": ""} == {**before, "Service": ""}


def _is_refused_in_time(server: fast.ApiServer) -> bool:
    """Make a good edit, then a bad one, and tell whether that was refused within ten seconds."""
    _mend(server)
    _edit(server, {"spec": {"workers": {"replicas": 3, "config": {"ssl.key.password": "x"}}}})
    begun = time.monotonic()
    until("the bad edit is refused", lambda: _condition(server, "Accepted") == "False")
    return time.monotonic() - begun < 10


def _mend(server: fast.ApiServer) -> None:
    _edit(server, {"spec": {"workers": {"replicas": 1, "config": None}}})
    until("the good edit is accepted", lambda: _condition(server, "Accepted") == "True")


def test_events_have_reasons_of_the_list(installed: Installed) -> None:
    """The API server tells of its own there, too, as of a Service's address."""
    found = installed.server.client.list("events", "shop")
    events = [event for event in found if event["source"].get("component") == "headrace"]

    assert events
    assert {event["reason"] for event in events} <= set(Reason)
    described = kubectl(installed.server, "describe", "kafkaconnection", "kafka", "-n", "shop")
    assert "KafkaUnreachable" in described.partition("Events:")[2]
    assert "kopf" not in json.dumps(events)


def _edit(server: fast.ApiServer, change: dict[str, Any]) -> None:
    words = ("patch", "connectcluster", "main", "-n", "shop", "--type=merge", "--field-manager=alice")
    kubectl(server, *words, "-p", json.dumps(change))


def _definitions() -> list[dict[str, Any]]:
    made = copy.deepcopy(crd.manifests())
    for one in made:
        spec = one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["properties"].get("workers", {"properties": {"config": {}}})["properties"]["config"].pop(
            "x-kubernetes-validations", None
        )
    return made


def _manifests() -> str:
    found = list(yaml.safe_load_all((EXAMPLES / "outbox.yaml").read_text()))
    more = ("outbox-relay.yaml", "snapshot.yaml")
    found += [next(yaml.safe_load_all((EXAMPLES / name).read_text())) for name in more]
    for one in found:
        one["metadata"] |= {"namespace": "shop", "annotations": ANNOTATIONS}
        one["metadata"]["labels"] = {**LABELS, **one["metadata"].get("labels", {})}
    found[0]["spec"]["bootstrapServers"] = "127.0.0.1:1"
    return yaml.safe_dump_all(found)


def _contract_of_before(server: fast.ApiServer) -> dict[str, Any]:
    uid = read(server, "connectcluster", "main")["metadata"]["uid"]
    owner = worlds.resource("ConnectCluster", "main", {}, uid=uid)
    return children.child(owner, "v1", "ConfigMap", "main-connect", {"data": {"worker.properties": OLD}})


def _apply(server: fast.ApiServer, objects: list[dict[str, Any]]) -> None:
    server.client.apply(objects)


def _by(server: fast.ApiServer, manager: str, manifests: str) -> None:
    kubectl(server, "apply", "--server-side", f"--field-manager={manager}", "-f", "-", text=manifests)


def _is_seen(server: fast.ApiServer, kind: str, name: str) -> bool:
    found = read(server, kind, name)
    return bool(found["status"]["observedGeneration"] == found["metadata"]["generation"])


def _children(server: fast.ApiServer) -> list[dict[str, Any]]:
    return server.client.list(CHILDREN, "shop", labels="headrace.dev/connect=main")


def _turn_an_agent_on_and_off(server: fast.ApiServer) -> None:
    """Have a source agent made and taken away."""
    for agent, count in (('{"enabled": true}', 5), ("null", 0)):
        kubectl(
            server,
            "patch",
            "hrconnect",
            "main",
            "-n",
            "shop",
            "--type=merge",
            "-p",
            f'{{"spec": {{"agent": {agent}}}}}',
        )
        until(f"{count} objects of the source agent", partial(_has_agent, server, count))


def _has_agent(server: fast.ApiServer, count: int) -> bool:
    return len(server.client.list(CHILDREN, "shop", labels="headrace.dev/agent=main")) == count


def _versions(server: fast.ApiServer) -> dict[str, str]:
    return {one["kind"]: one["metadata"]["resourceVersion"] for one in _children(server)}


def _condition(server: fast.ApiServer, kind: str, field: str = "status") -> str:
    conditions = read(server, "connectcluster", "main")["status"]["conditions"]
    return next((str(one[field]) for one in conditions if one["type"] == kind), "")


def _granted() -> set[Right]:
    return {
        (group, resource, verb)
        for role in of("Role", render("--set", "watch.namespaces={shop}"))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(server: fast.ApiServer) -> dict[str, set[Right]]:
    """Return the rights that the operator made use of, and those it lacked; an apply that made something created it."""
    found: dict[str, set[Right]] = {"allowed": set(), "refused": set()}
    for event in lines.events(server.audit_log):
        if event["user"]["username"] != ACCOUNT or "objectRef" not in event:
            continue
        at, code = event["objectRef"], event.get("responseStatus", {}).get("code")
        resource = "/".join(part for part in (at["resource"], at.get("subresource")) if part)
        verbs = [event["verb"], *(["create"] if code == 201 else [])]
        found["refused" if code == 403 else "allowed"] |= {(at.get("apiGroup", ""), resource, verb) for verb in verbs}
    return found
