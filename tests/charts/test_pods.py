"""What the chart's values make of the operator's pods, of names, and of how all pods are scraped. Helm renders."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace_operator import settings
from headrace_operator.observed.kube import Children
from headrace_operator.plan import connectcluster, consumer
from tests.charts.rendering import IMAGES, of, render, template
from tests.operator import worlds

pytestmark = pytest.mark.slow

MONITORING = "monitoring.coreos.com/v1"
KINDS = [word for kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule") for word in ("-a", f"{MONITORING}/{kind}")]
GIVEN: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "data", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    "priorityClassName": "important",
}


def test_pods_run_where_they_are_told_to() -> None:
    """Each value is the pod's field of the same name; the pod of the test goes where the operator may go."""
    objects = render(*_set(GIVEN), tests=True)
    pod = of("Deployment", objects)[0]["spec"]["template"]["spec"]
    (test,) = of("Pod", objects)

    assert {name: pod[name] for name in GIVEN} == GIVEN
    assert {name: test["spec"][name] for name in ("nodeSelector", "tolerations")} == {
        name: GIVEN[name] for name in ("nodeSelector", "tolerations")
    }
    assert not GIVEN.keys() & of("Deployment", render())[0]["spec"]["template"]["spec"].keys()


def test_labels_and_annotations_are_put_beside_ours() -> None:
    """On pods and on the account, as clouds' IAM asks for; ours cannot be taken away by them, nor what selects pods."""
    objects = render(
        *_set(
            {
                "podLabels": {"team": "data", "app.kubernetes.io/name": "other"},
                "podAnnotations": {"iam.example/role": "reader", "prometheus.io/port": "1"},
                "serviceAccount": {"annotations": {"eks.example/role-arn": "arn:a"}, "labels": {"use": "identity"}},
            }
        )
    )
    (deployment,), (account,) = of("Deployment", objects), of("ServiceAccount", objects)
    pod = deployment["spec"]["template"]["metadata"]

    assert pod["labels"]["team"] == "data"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["labels"].items()
    assert pod["annotations"] == {
        "iam.example/role": "reader", "prometheus.io/scrape": "true", "prometheus.io/port": "8081",
    }  # fmt: skip
    assert account["metadata"]["annotations"] == {"eks.example/role-arn": "arn:a"}
    assert account["metadata"]["labels"]["use"] == "identity"
    assert "team" not in account["metadata"]["labels"]


def test_the_operator_has_further_environment_and_keeps_its_own() -> None:
    """Values and references; one of the operator's own names is refused."""
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    env = [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}, secret]
    container = _operator(render(*_set({"extraEnv": env})))
    refused = template(*_set({"extraEnv": [{"name": "HEADRACE_NAMESPACE", "value": "x"}]}))

    assert container["env"][-2:] == env
    assert container["env"][:-2] == _operator(render())["env"]
    assert refused.returncode != 0
    assert "/extraEnv/0/name" in refused.stderr


@pytest.mark.parametrize(
    ("values", "operator", "others"),
    [
        ({}, "headrace-operator", "headrace"),
        ({"nameOverride": "cdc"}, "cdc-operator", "cdc"),
        ({"nameOverride": "cdc", "fullnameOverride": "capture"}, "capture", "cdc"),
    ],
)
def test_names_begin_as_they_are_told_to(values: dict[str, Any], operator: str, others: str) -> None:
    """All of them, what is bound and run included; selectors, and the Lease, which hands over, stay."""
    objects = render(*KINDS, *_set(values), tests=True)
    names = {one["metadata"]["name"] for one in objects}
    used = [subject["name"] for one in of("RoleBinding", objects) for subject in one["subjects"]]
    roles = {one["metadata"]["name"] for one in of("Role", objects)}

    beside = {f"{others}-{one}" for one in ("consumers", "pipelines", "dashboards", "test")}
    assert names == {operator, f"{operator}-lease", others, *beside}
    assert {one["roleRef"]["name"] for one in of("RoleBinding", objects)} == roles
    assert set(used) == {operator, f"{others}-test"}
    assert of("Deployment", objects)[0]["spec"]["template"]["spec"]["serviceAccountName"] == operator
    assert of("Deployment", objects)[0]["spec"]["selector"] == of("Deployment", render())[0]["spec"]["selector"]
    assert "resourceNames: [headrace-operator]" in template(*_set(values)).stdout


def test_pods_of_workers_and_consumers_are_pulled_and_scraped_as_told() -> None:
    """By what the chart tells the operator."""
    values = {"images": {"pullPolicy": "Always"}, "monitoring": {"annotations": False}}
    for words, policy, scraped in ((_set(values), "Always", False), ((), "IfNotPresent", True)):
        container = _operator(render(*words))
        told = {one["name"]: one.get("value", "headrace-system") for one in container["env"]}
        made = [_pod(settings.read(told), name) for name in ("Consumer", "ConnectCluster")]

        assert container["imagePullPolicy"] == policy
        assert [one["spec"]["containers"][0]["imagePullPolicy"] for one in made] == [policy, policy]
        assert ["prometheus.io/scrape" in one["metadata"]["annotations"] for one in made] == [scraped, scraped]
        annotations = of("Deployment", render(*words))[0]["spec"]["template"]["metadata"].get("annotations") or {}
        assert ("prometheus.io/scrape" in annotations) is scraped


def test_service_monitors_find_every_pod() -> None:
    """In place of PodMonitors: each selects Services, and those select the pods by labels and ports that pods have."""
    words = ("--set", "monitoring.serviceMonitors=true", "--set", "watch.namespaces={shop,bakery}")
    objects = render(*KINDS, *words, "--set", "monitoring.labels.release=kps")
    services = {(one["metadata"].get("namespace"), one["metadata"]["name"]): one for one in of("Service", objects)}
    own, pipelines = of("ServiceMonitor", objects)

    assert not of("PodMonitor", objects)
    assert [one["metadata"]["labels"]["release"] for one in (own, pipelines)] == ["kps", "kps"]
    assert pipelines["spec"]["namespaceSelector"] == {"matchNames": ["shop", "bakery"]}
    made = {name: _pod(worlds.SETTINGS, name) for name in ("Consumer", "ConnectCluster")}
    for monitor, service, pod in (
        (own, services[None, "headrace-operator"], of("Deployment", objects)[0]["spec"]["template"]),
        (pipelines, services["shop", "headrace-pipelines"], made["Consumer"]),
        (pipelines, services["bakery", "headrace-pipelines"], made["ConnectCluster"]),
    ):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        asked = {one["port"] for one in monitor["spec"]["endpoints"]}
        ports = {one["targetPort"] for one in service["spec"]["ports"] if one["name"] in asked}
        assert len(ports & {one["name"] for one in pod["spec"]["containers"][0]["ports"]}) == 1
    assert not of("Service", render(*KINDS))


def test_services_for_namespaces_that_nobody_knows_are_refused() -> None:
    done = template("--set", "monitoring.serviceMonitors=true,watch.all=true")

    assert done.returncode != 0
    assert "take podMonitors" in done.stderr


@pytest.mark.parametrize("words", [IMAGES, ("--set", "global.registry=registry.example/headrace")])
def test_every_image_comes_from_the_registry(words: tuple[str, ...]) -> None:
    """Of the operator, of the test, and of what the operator makes; one value, also of a parent chart."""
    objects = render(images=words, tests=True)
    pods = [of("Deployment", objects)[0]["spec"]["template"], *of("Pod", objects)]
    images = [one["image"] for pod in pods for one in pod["spec"]["containers"]]
    told = [one["value"] for one in _operator(objects)["env"] if one["name"].endswith("_IMAGE")]

    assert len(images) == 2
    assert len(told) == 3
    assert all(image.startswith("registry.example/headrace/") for image in (*images, *told))


def _set(values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(word for name, value in values.items() for word in ("--set-json", f"{name}={json.dumps(value)}"))


def _operator(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (container,) = of("Deployment", objects)[0]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def _pod(told: settings.Settings, kind: str) -> Any:
    """Return the pods that the operator makes for a resource of ``kind``, told so."""
    if kind == "Consumer":
        plan = consumer.plan(worlds.consumer_world(), told, worlds.NOW)
    else:
        plan = connectcluster.plan(worlds.connect_world(), told, worlds.NOW)
    made = worlds.applied(Children(objects={}), plan.actions).objects
    return next(one["spec"]["template"] for (found, _), one in made.items() if found == "Deployment")
