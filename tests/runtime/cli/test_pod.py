"""The errand pod: what it takes over from a Deployment, and that nothing makes it a replica."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.cli.laptop import errand, errand_pod

Json = dict[str, Any]


def deployment() -> Json:
    labels = {"app.kubernetes.io/name": "headrace-consumer", "headrace.dev/consumer": "billing"}
    consumer = {
        "name": "consumer",
        "image": "example/runtime:1",
        "command": ["headrace", "run"],
        "env": [{"name": "TZ", "value": "UTC"}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/headrace/config"}],
        "resources": {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"privileged": False, "runAsUser": 1000},
    }
    return {
        "metadata": {
            "name": "billing-consumer",
            "namespace": "shop",
            "uid": "d-1",
            "ownerReferences": [
                {
                    "apiVersion": "headrace.dev/v1alpha1",
                    "kind": "Consumer",
                    "name": "billing",
                    "uid": "c-1",
                    "controller": True,
                }
            ],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": {"prometheus.io/scrape": "true"}},
                "spec": {
                    "containers": [{"name": "sidecar", "image": "example/sidecar:1"}, consumer],
                    "initContainers": [{"name": "wait", "image": "example/wait:1"}],
                    "serviceAccountName": "billing-consumer",
                    "imagePullSecrets": [{"name": "registry"}],
                    "nodeSelector": {"disk": "fast"},
                    "topologySpreadConstraints": [{"maxSkew": 1}],
                    "terminationGracePeriodSeconds": 45,
                    "volumes": [{"name": "config", "configMap": {"name": "billing-consumer"}}],
                },
            },
        },
    }


def made(**changes: Any) -> Json:
    return errand_pod.manifest({**deployment(), **changes}, "billing", ["headrace", "internal", "dlq-list"], "0a1b2c3d")


def test_it_has_the_access_and_placement_of_a_replica() -> None:
    spec = made()["spec"]
    assert spec["serviceAccountName"] == "billing-consumer"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["volumes"] == [{"name": "config", "configMap": {"name": "billing-consumer"}}]
    (container,) = spec["containers"]
    assert container["image"] == "example/runtime:1"
    assert container["command"] == ["headrace", "internal", "dlq-list"]
    assert container["env"] == [{"name": "TZ", "value": "UTC"}]
    assert container["volumeMounts"] == [{"name": "config", "mountPath": "/etc/headrace/config"}]


def test_it_takes_nothing_that_only_a_replica_needs() -> None:
    spec = made()["spec"]
    assert not {"initContainers", "topologySpreadConstraints"} & set(spec)
    assert not {"ports", "readinessProbe"} & set(spec["containers"][0])


@pytest.mark.case("clusters-7")
def test_it_mounts_no_volume_that_only_the_users_code_needs() -> None:
    """One that a single node can have would keep it from starting."""
    whole = deployment()
    spec = whole["spec"]["template"]["spec"]
    spec["volumes"].append({"name": "models", "persistentVolumeClaim": {"claimName": "models"}})
    spec["containers"][1]["volumeMounts"].append({"name": "models", "mountPath": "/mnt/models"})

    assert made(spec=whole["spec"]) == made()


@pytest.mark.case("clusters-8")
def test_it_finds_room_where_a_replica_would_not() -> None:
    (container,) = made()["spec"]["containers"]

    assert container["resources"] == {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "512Mi"}}


@pytest.mark.case("clusters-8")
def test_it_asks_for_nothing_of_which_a_replica_has_a_limit() -> None:
    """Kubernetes takes a limit for a request where there is none."""
    given = deployment()
    for container in given["spec"]["template"]["spec"]["containers"]:
        container["resources"] = {
            "limits": {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "9Gi", "nvidia.com/gpu": 1}
        }
    (made_so,) = errand_pod.manifest(given, "billing", ["true"], "1")["spec"]["containers"]

    assert made_so["resources"] == {
        "requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"cpu": "2", "memory": "4Gi"},
    }  # fmt: skip


def test_nothing_selects_it_as_a_replica() -> None:
    labels = made()["metadata"]["labels"]
    assert not labels.items() & deployment()["spec"]["selector"]["matchLabels"].items()
    assert labels["headrace.dev/cli"] == "billing"
    assert "annotations" not in made()["metadata"]


def test_it_ends_by_itself_and_goes_with_its_consumer() -> None:
    whole = made()
    assert whole["spec"]["restartPolicy"] == "Never"
    assert whole["spec"]["activeDeadlineSeconds"] > 0
    assert whole["metadata"]["ownerReferences"] == [
        {"apiVersion": "headrace.dev/v1alpha1", "kind": "Consumer", "name": "billing", "uid": "c-1"}
    ]


def test_it_goes_with_a_deployment_that_nobody_owns() -> None:
    metadata = {name: value for name, value in deployment()["metadata"].items() if name != "ownerReferences"}
    assert made(metadata=metadata)["metadata"]["ownerReferences"][0]["uid"] == "d-1"


def test_it_is_restricted_whatever_the_template_says() -> None:
    spec = made()["spec"]
    context = spec["containers"][0]["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsUser"] == 1000
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["automountServiceAccountToken"] is False


def test_a_deployment_without_a_consumer_is_refused() -> None:
    spec = {"template": {"spec": {"containers": [{"name": "web", "image": "example/web:1"}]}}}
    with pytest.raises(ValueError, match="consumer"):
        made(spec=spec)


def status(**parts: Any) -> Json:
    return {"status": {"phase": "Pending", **parts}}


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerConfigError", "RunContainerError"])
def test_a_pod_that_cannot_start_says_why_and_what_to_do(reason: str) -> None:
    held = status(containerStatuses=[{"state": {"waiting": {"reason": reason, "message": "so it is"}}}])
    failure = errand.hopeless("billing-cli-1", held)
    assert failure is not None
    assert reason in failure.what
    assert "so it is" in failure.what
    assert failure.remedy


def test_a_pod_without_a_node_is_waited_for_and_says_so() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes: too small",
    }
    held = status(conditions=[condition])
    assert errand.hopeless("billing-cli-1", held) is None
    assert errand.waiting(held) == ("Unschedulable", "0/1 nodes: too small")
