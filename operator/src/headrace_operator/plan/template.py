"""What a user gives the pods of a workload, laid over what Headrace gives them: one pure function for every kind.

Field by field, and never deeper: how pods are secured, what Headrace mounts, and which labels it knows them by stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from headrace_operator.api.durations import seconds
from headrace_operator.api.resources import Resources
from headrace_operator.api.schema import Model
from headrace_operator.api.template import ConsumerTemplate, Container, InitContainer, Template, WorkersTemplate
from headrace_operator.plan import quantities
from headrace_operator.plan.pods import container_security

Json = Mapping[str, Any]

PROGRESS = 600
"""Seconds after which Kubernetes says that a rollout makes no progress, unless told otherwise."""

PULLING = 120
"""Seconds that a pod may take until its container starts, beside what that takes to answer."""


def laid_over(made: Json, template: Template | None) -> dict[str, Any]:
    """Return `made`, the spec of a Deployment whose pods have one container, with what `template` gives."""
    if template is None:
        return dict(made)
    pod = made["template"]["spec"]
    (ours,) = pod["containers"]
    metadata = made["template"]["metadata"]
    containers = {
        "initContainers": [_init(one, ours) for one in template.init_containers or ()],
        "containers": [{**_container(_with_options(ours, template), template), **_probed(ours, template)}],
    }
    spec = {**pod, **_placement(template), **_lists(pod, template), **_account(pod, template), **containers}
    return {
        **made,
        **_deadline(template),
        "template": {
            "metadata": {
                "labels": {**(template.labels or {}), **metadata["labels"]},
                "annotations": {**metadata["annotations"], **(template.annotations or {})},
            },
            "spec": {name: value for name, value in spec.items() if value not in (None, [])},
        },
    }


def compute(known: Json, given: Resources | None) -> dict[str, dict[str, Any]]:
    """Return requests and limits: what is `known` where nothing is `given`, as far as it is not at odds with that."""
    asked, bound = (_plain(part) or {} for part in (given and given.requests, given and given.limits))
    requests: dict[str, Any] = {**known["requests"], **asked}
    limits: dict[str, Any] = {**known["limits"], **bound}
    for name in requests.keys() & limits.keys():
        if quantities.is_above(requests[name], limits[name]):
            if name not in asked:
                requests[name] = limits[name]
            elif name not in bound:
                limits[name] = requests[name]
    return {"requests": requests, "limits": limits}


def _container(made: Json, given: Container) -> dict[str, Any]:
    lists = {
        "env": [*made.get("env", ()), *_plains(given.env)],
        "envFrom": _plains(given.env_from),
        "volumeMounts": [*made["volumeMounts"], *_plains(given.mounts)],
    }
    there = {name: items for name, items in lists.items() if items}
    return {**made, **there, "resources": compute(made["resources"], given.resources)}


def _init(given: InitContainer, ours: Json) -> dict[str, Any]:
    """Return a container that runs before `ours`: as restricted, with its compute unless told, without its files."""
    named = _plain(given) or {}
    fields = ("name", "image", "command", "args", "restartPolicy")
    made: dict[str, Any] = {
        **{field: named[field] for field in fields if field in named},
        "resources": ours["resources"],
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return _container(made, given)


def _with_options(ours: Json, template: Template) -> Json:
    """Return our container with options of its JVM, which a worker's image reads from this variable."""
    options = template.jvm_options if isinstance(template, WorkersTemplate) else None
    return {**ours, "env": [*ours["env"], {"name": "JAVA_OPTS", "value": " ".join(options)}]} if options else ours


def _probed(ours: Json, template: Template) -> dict[str, Any]:
    """Return the probe that awaits a started container, with the failures that its time is."""
    probe = ours["startupProbe"]
    if template.startup is None:
        return {"startupProbe": probe}
    failures = max(1, ceil(seconds(template.startup, 0) / probe["periodSeconds"]))
    return {"startupProbe": {**probe, "failureThreshold": failures}}


def _deadline(template: Template) -> dict[str, int]:
    longest = ceil(seconds(template.startup, 0)) + PULLING
    return {"progressDeadlineSeconds": longest} if longest > PROGRESS else {}


def _placement(template: Template) -> dict[str, Any]:
    return {
        "nodeSelector": template.node_selector,
        "tolerations": _plains(template.tolerations),
        "affinity": _plain(template.affinity),
        "priorityClassName": template.priority_class_name,
        "runtimeClassName": template.runtime_class_name,
        "hostAliases": _plains(template.host_aliases),
    }


def _lists(pod: Json, template: Template) -> dict[str, Any]:
    pulls = [*pod.get("imagePullSecrets", ()), *_plains(template.image_pull_secrets)]
    return {
        "volumes": [*pod["volumes"], *(_read_only(one) for one in _plains(template.volumes))],
        "imagePullSecrets": [one for place, one in enumerate(pulls) if one not in pulls[:place]],
        "topologySpreadConstraints": _spread(pod["topologySpreadConstraints"], template),
    }


def _read_only(volume: dict[str, Any]) -> dict[str, Any]:
    """Return the volume; what a storage driver brings is only read."""
    return {**volume, "csi": {**volume["csi"], "readOnly": True}} if "csi" in volume else volume


def _spread(made: Sequence[Json], template: Template) -> list[Json]:
    """Return ours, unless one is given for the same; those that are given count the pods that ours counts."""
    (ours,) = made
    counted = {name: ours[name] for name in ("labelSelector", "matchLabelKeys")}
    given = [{**one, **counted} for one in _plains(template.topology_spread)]
    same = any(all(one[key] == ours[key] for key in ("topologyKey", "whenUnsatisfiable")) for one in given)
    return [*([] if same else [ours]), *given]


def _account(pod: Json, template: Template) -> dict[str, Any]:
    """Return whose account and how long an end pods have; of an account of the user's it is said there who sees it."""
    grace = template.termination_grace_period_seconds or pod["terminationGracePeriodSeconds"]
    named = template.service_account_name if isinstance(template, ConsumerTemplate) else None
    theirs = {"serviceAccountName": named, "automountServiceAccountToken": None} if named else {}
    return {"terminationGracePeriodSeconds": grace, **theirs}


def _plain(part: Model | None) -> dict[str, Any] | None:
    return None if part is None else part.model_dump(mode="json", by_alias=True, exclude_none=True)


def _plains(parts: Sequence[Model] | None) -> list[dict[str, Any]]:
    return [plain for part in parts or () if (plain := _plain(part)) is not None]
