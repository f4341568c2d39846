"""The source agent of a ConnectCluster: whether there is one, and the objects that run it.

It is one pod, without a token, with the logins of the Connectors as files; a change of what is declared replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headrace_agent import declared, places
from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.observed.kube import Children, Manifest, Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConnectClusterWorld
from headrace_operator.plan import complaints, inputs, names, pods, source, template
from headrace_operator.plan import declared as sources
from headrace_operator.plan.actions import Action, Remove
from headrace_operator.plan.availability import spread
from headrace_operator.plan.children import applies, child, controls, labels, own_deployment, selector, taken
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.pods import HISTORY, container_security, pod_security, pull_policy, pull_secrets, scrape
from headrace_operator.plan.reasons import Reason
from headrace_operator.settings import Settings

COMPONENT = "agent"
CONDITION = "AgentDeployed"
DECLARATION = "headrace.dev/declaration"
FOLDER = "/etc/headrace"
MEMORY = "agent.template.resources.limits.memory"
COMPUTE = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}}


def is_wanted(spec: ConnectClusterSpec | None) -> bool:
    """Tell whether a spec asks for an agent."""
    return bool(spec and spec.agent and spec.agent.enabled)


def may_be_there(cluster: Resource) -> bool:
    """Tell whether there is something of an agent to look at: it is wanted, or was when the status was written."""
    return source.is_written(cluster) or source.is_on(cluster) or bool(cluster.status.get("agentReady"))


def actions(
    world: ConnectClusterWorld,
    spec: ConnectClusterSpec | None,
    settings: Settings,
    left: tuple[declared.Postgres, ...] = (),
) -> tuple[Action, ...]:
    """Return what makes the agent as it is wanted, with what it drops of what ``left``, or takes it away."""
    if spec is None or not isinstance(world.agent, Children) or taken(world.resource, world.agent):
        return ()
    if not is_wanted(spec):
        return _removals(world.resource, world.agent)
    if (
        settings.agent_image is None
        or not isinstance(world.connectors, tuple)
        or any(isinstance(one, Unknown) for one in world.sources.values())
    ):
        return ()
    declaration = sources.declaration(world.resource, world.connectors, world.sources, left)
    read = inputs.of_agent(spec.model_dump(by_alias=True, exclude_none=True))
    started_with = inputs.annotation(read, world.inputs, _deployment(world))
    return applies(manifests(world.resource, spec, declaration, settings, started_with), world.agent)


def deployed(
    world: ConnectClusterWorld, spec: ConnectClusterSpec | None, image: str | None, changing: bool, now: datetime
) -> Finding | None:
    """Say whether the agent runs as it is wanted; None when none is."""
    if not is_wanted(spec):
        return None
    if image is None:
        text = "The release has no image of the source agent: give images.agent (or images.registry) of the chart."
        return false(CONDITION, Reason.IMAGE_MISSING, text)
    if isinstance(world.agent, Unknown):
        return unknown(CONDITION, Reason.UNKNOWN, world.agent.reason)
    found = taken(world.resource, world.agent) or _rollout(world, world.agent, changing, now)
    return Finding(type=CONDITION, status=found.status, reason=found.reason, message=found.message)


def ready(world: ConnectClusterWorld, spec: ConnectClusterSpec | None) -> str | None:
    """Return how many pods of the agent are ready of how many; None once there is nothing of it."""
    if isinstance(world.agent, Unknown):
        return world.resource.status.get("agentReady")
    if not is_wanted(spec) and not world.agent.objects:
        return None
    wanted, there, _ = pods.rollout(_deployment(world))
    return pods.counted(there, wanted)


def mounted(world: ConnectClusterWorld) -> tuple[str, ...]:
    """Return the Secrets that the agent's pod has now: they were named by Connectors that were accepted."""
    spec = ((_deployment(world) or {}).get("spec") or {}).get("template", {}).get("spec", {})
    sources = (one for volume in spec.get("volumes", ()) for one in volume.get("projected", {}).get("sources", ()))
    return tuple(one["secret"]["name"] for one in sources if "secret" in one)


def _rollout(world: ConnectClusterWorld, seen: Children, changing: bool, now: datetime) -> Finding:
    deployment = _deployment(world)
    if deployment is None:
        return false(CONDITION, Reason.APPLYING, "The Deployment is not made yet.")
    wanted, there, rolled = pods.rollout(deployment)
    if short := complaints.shortage(deployment, seen.pods, rolled=rolled, now=now, memory=MEMORY):
        return short
    if changing or not rolled or there < wanted:
        return false(CONDITION, Reason.ROLLING_OUT, f"{there} of {wanted} pods of the source agent are ready.")
    return true(CONDITION, Reason.DEPLOYED, "The source agent runs.")


def _deployment(world: ConnectClusterWorld) -> Manifest | None:
    return own_deployment(world.resource, names.agent_child(world.resource.name), world.agent)


def _removals(cluster: Resource, seen: Children) -> tuple[Remove, ...]:
    return tuple(
        Remove(kind=kind, namespace=cluster.namespace, name=name, uid=live["metadata"]["uid"])
        for (kind, name), live in seen.objects.items()
        if controls(cluster, live)
    )


def manifests(
    resource: Resource,
    spec: ConnectClusterSpec,
    declaration: declared.Declaration,
    settings: Settings,
    started_with: Mapping[str, str],
) -> tuple[Manifest, ...]:
    """Return every object of the agent, what protects it first.

    `started_with` is the annotation that says what its template reads when it starts.
    """
    told = {places.DECLARATION.rpartition("/")[2]: declared.dump(declaration)}
    notes = {**started_with, DECLARATION: declared.digest(declaration)}
    pod = {
        "metadata": {
            "labels": labels(resource, COMPONENT),
            "annotations": {**notes, **scrape(places.METRICS_PORT, wanted=settings.scrape_annotations)},
        },
        "spec": _pod(resource, declaration, settings),
    }
    body = {
        "replicas": 1,
        "selector": {"matchLabels": selector(resource, COMPONENT)},
        "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": HISTORY,
        "template": pod,
    }
    over = template.laid_over(body, spec.agent.template if spec.agent else None)
    return (
        _child(resource, "v1", "ServiceAccount", {"automountServiceAccountToken": False}),
        _child(resource, "networking.k8s.io/v1", "NetworkPolicy", {"spec": _policy(resource, settings)}),
        _child(resource, "v1", "ConfigMap", {"data": told}),
        _child(resource, "apps/v1", "Deployment", {"spec": over}),
        _child(resource, "v1", "Service", {"spec": _service(resource)}),
    )


def _child(resource: Resource, api_version: str, kind: str, body: Mapping[str, Any]) -> Manifest:
    return child(resource, api_version, kind, names.agent_child(resource.name), body, COMPONENT)


def _pod(resource: Resource, declaration: declared.Declaration, settings: Settings) -> dict[str, Any]:
    return {
        "serviceAccountName": names.agent_child(resource.name),
        "automountServiceAccountToken": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": 30,
        "containers": [_container(settings)],
        "volumes": [_files(resource, declaration), {"name": "tmp", "emptyDir": {}}],
        **spread(resource, COMPONENT),
        **pull_secrets(settings.image_pull_secrets),
    }


def _files(resource: Resource, declaration: declared.Declaration) -> dict[str, Any]:
    """Return what is declared, and below it the logins: a Secret that is missing holds up no other source."""
    path = places.DECLARATION.removeprefix(f"{FOLDER}/")
    items = [{"key": path.rpartition("/")[2], "path": path}]
    logins = [
        {
            "secret": {
                "name": name,
                "optional": True,
                "items": [
                    {"key": key, "path": places.secret_file(name, key).removeprefix(f"{FOLDER}/")} for key in keys
                ],
            }
        }
        for name, keys in sources.mounted(declaration).items()
    ]
    known = {"configMap": {"name": names.agent_child(resource.name), "items": items}}
    return {"name": "config", "projected": {"sources": [known, *logins], "defaultMode": 0o440}}


def _container(settings: Settings) -> dict[str, Any]:
    probe = {"httpGet": {"path": places.HEALTH, "port": "http"}, "timeoutSeconds": 5}
    return {
        "name": "agent",
        "image": settings.agent_image,
        **pull_policy(settings.image_pull_policy),
        "ports": [
            {"name": "http", "containerPort": places.PORT},
            {"name": "metrics", "containerPort": places.METRICS_PORT},
        ],
        "resources": COMPUTE,
        "securityContext": container_security(),
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**probe, "periodSeconds": 5},
        "livenessProbe": {**probe, "periodSeconds": 15, "failureThreshold": 4},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _service(resource: Resource) -> dict[str, Any]:
    ports = [{"name": "http", "port": places.PORT, "targetPort": "http"}]
    return {"selector": selector(resource, COMPONENT), "ports": ports}


def _policy(resource: Resource, settings: Settings) -> dict[str, Any]:
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "headrace"}},
    }
    return {
        "podSelector": {"matchLabels": selector(resource, COMPONENT)},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [operator], "ports": [{"port": places.PORT, "protocol": "TCP"}]},
            {"ports": [{"port": places.METRICS_PORT, "protocol": "TCP"}]},
        ],
    }
