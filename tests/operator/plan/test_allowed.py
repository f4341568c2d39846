"""Whatever a user writes in a spec: pods stay restricted, rights stay bounded, and no owner's label is handed down."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headrace_operator.api.schema import API_VERSION
from headrace_operator.api.volumes import OWN_VOLUMES
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import connectcluster, connector, consumer, names, pods
from headrace_operator.plan.actions import Apply, Plan
from tests.operator import worlds
from tests.operator.plan.specs import specs

Json = dict[str, Any]
POD = {
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "hostAliases",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
}
CONTAINER = {
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "restartPolicy",
    "securityContext",
    "startupProbe",
    "terminationMessagePolicy",
    "volumeMounts",
}
VOLUMES = {"configMap", "csi", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PROJECTED = {"configMap", "downwardAPI", "secret"}
PLACES = ("/etc/headrace", "/tmp", "/var/run/secrets", "/run/secrets")
OWN = ("app.kubernetes.io/", "headrace.dev/")
LABELS = st.dictionaries(
    st.sampled_from(
        (
            "app.kubernetes.io/instance",
            "app.kubernetes.io/managed-by",
            "argocd.argoproj.io/instance",
            "kustomize.toolkit.fluxcd.io/name",
            "headrace.dev/consumer",
            "team",
        )
    ),
    st.just("theirs"),
)
many = settings(max_examples=40)


def manifests(plan: Plan) -> Iterator[Json]:
    """Yield what is applied; a spec that is refused, for a password in it, makes nothing and shows nothing."""
    assume("Stalled" not in {found["type"] for found in plan.status["conditions"]})
    for action in plan.actions:
        if isinstance(action, Apply):
            yield dict(action.manifest)


def of_consumer(spec: Json, labels: dict[str, str]) -> tuple[Resource, list[Json]]:
    owner = dataclasses.replace(worlds.CONSUMER, spec=spec, labels=labels)
    plan = consumer.plan(worlds.consumer_world(resource=owner), worlds.SETTINGS, worlds.NOW)
    return owner, list(manifests(plan))


def of_connect(spec: Json, labels: dict[str, str]) -> tuple[Resource, list[Json]]:
    world = worlds.protected_world(spec, labels=labels)
    plan = connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)
    return world.resource, list(manifests(plan))


def assert_bounded(owner: Resource, made: list[Json], templates: Mapping[str, Json | None]) -> None:
    """See that there are no pods but of these accounts, with what the user gives them, of which the first are there."""
    pods_of = {
        one["spec"]["template"]["spec"]["serviceAccountName"]: one for one in made if one["kind"] == "Deployment"
    }
    first, *others = templates
    assert first in pods_of
    assert pods_of.keys() <= {first, *others}
    for account, deployment in pods_of.items():
        assert_theirs(templates[account] or {}, deployment["spec"]["template"]["metadata"])
        assert_restricted(deployment["spec"]["template"]["spec"], account)
    for one in made:
        assert_ours(owner, one)
    assert_available(pods_of[first], [one for one in made if one["kind"] == "PodDisruptionBudget"])


def assert_theirs(template: Json, metadata: Json) -> None:
    """Take the labels and annotations that the user gives out of the pods' own: what is left is ours, whole."""
    for part in ("labels", "annotations"):
        given = template.get(part) or {}
        assert not [name for name in given if name.startswith(OWN)]
        assert {name: metadata[part].pop(name) for name in given} == given


def assert_ours(owner: Resource, one: Json) -> None:
    metadata = one["metadata"]
    everything = {**metadata["labels"], **one.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})}

    assert all(label.startswith(OWN) for label in everything)
    assert "theirs" not in everything.values()
    assert everything["app.kubernetes.io/managed-by"] == "headrace"
    assert everything["app.kubernetes.io/instance"] == owner.name
    assert set(metadata["annotations"]) == {"headrace.dev/applied"}
    assert (metadata["namespace"], metadata["ownerReferences"]) == (
        owner.namespace,
        [{"apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": True}],
    )


def assert_restricted(pod: Json, account: str) -> None:
    assert set(pod) <= POD
    assert pod["securityContext"] == pods.pod_security()
    assert pod["serviceAccountName"] == account
    assert {kind for volume in pod["volumes"] for kind in set(volume) - {"name"}} <= VOLUMES
    theirs = [volume for volume in pod["volumes"] if volume["name"] != "token"]
    sources = [source for volume in theirs for source in volume.get("projected", {}).get("sources", ())]
    assert {kind for source in sources for kind in source} <= PROJECTED
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        assert set(container) <= CONTAINER
        assert container["securityContext"] == pods.container_security()
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert all("hostPort" not in port for port in container.get("ports", ()))
        assert container in pod["containers"] or "token" not in {mount["name"] for mount in container["volumeMounts"]}
        own = {volume["name"] for volume in pod["volumes"]} & set(OWN_VOLUMES)
        assert all(
            mount["mountPath"].startswith(PLACES) == (mount["name"] in own) for mount in container["volumeMounts"]
        )


def assert_available(deployment: Json, budgets: list[Json]) -> None:
    """Its pods want to be apart, wait for no node, and are evicted one at a time."""
    selector = deployment["spec"]["selector"]
    spread, *_ = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]

    assert (spread["labelSelector"], spread["topologyKey"]) == (selector, "kubernetes.io/hostname")
    assert (spread["maxSkew"], spread["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
    assert [budget["spec"] for budget in budgets] == [{"maxUnavailable": 1, "selector": selector}]


@many
@given(spec=specs("Consumer"), labels=LABELS)
def test_no_spec_of_a_consumer_changes_what_its_pods_may_do(spec: Json, labels: dict[str, str]) -> None:
    owner, made = of_consumer(spec, labels)
    template = owner.spec.get("template") or {}
    theirs = template.get("serviceAccountName")

    assert_bounded(owner, made, {theirs or "billing-consumer": template})
    (deployment,) = [one for one in made if one["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"].get("automountServiceAccountToken") is (None if theirs else False)
    assert not [one for one in made if one["kind"] in ("Role", "RoleBinding")]


@many
@given(spec=specs("ConnectCluster"), labels=LABELS)
def test_no_spec_of_a_connectcluster_changes_what_its_workers_may_do(spec: Json, labels: dict[str, str]) -> None:
    """They read the Secrets that are named, through an account of their own namespace that nobody chooses."""
    owner, made = of_connect(spec, labels)
    (role,) = [one for one in made if one["kind"] == "Role"]
    (binding,) = [one for one in made if one["kind"] == "RoleBinding"]

    given = {name: (owner.spec.get(name) or {}).get("template") for name in ("workers", "agent")}
    assert_bounded(owner, made, {"main-connect": given["workers"], names.agent_child("main"): given["agent"]})
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "main-connect", "namespace": "shop"}]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "main-connect"}
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["shop-db"], "verbs": ["get"]}
    ]


@many
@given(connectors=st.lists(specs("Connector"), max_size=3))
def test_workers_may_read_what_connectors_name_and_nothing_else(connectors: list[Json]) -> None:
    """A Connector of another ConnectCluster gives these workers no right."""
    theirs = tuple(
        worlds.resource("Connector", f"c{number}", {**spec, "connect": "main" if number else "other"})
        for number, spec in enumerate(connectors)
    )
    world = worlds.connect_world(connectors=theirs)
    made = list(manifests(connectcluster.plan(world, worlds.SETTINGS, worlds.NOW)))
    (role,) = [one for one in made if one["kind"] == "Role"]
    named = {
        one.spec["postgres"]["credentials"]["secret"] for one in theirs[1:] if connector.judge(one).problem is None
    }

    assert {name for rule in role["rules"] for name in rule["resourceNames"]} == named
    assert all(rule["resources"] == ["secrets"] and rule["verbs"] == ["get"] for rule in role["rules"])
