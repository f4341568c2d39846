"""The CEL rules of a template, by the path at which a kind has one."""

from __future__ import annotations

from headrace_operator.api import environment, placement, template, volumes
from headrace_operator.api.durations import SENSIBLE
from headrace_operator.api.properties import IMAGE
from headrace_operator.api.schema import Rule

Rules = dict[str, tuple[Rule, ...]]

KEYS = (placement.ODD_KEYS.rule_of_keys, template.OUR_KEYS.rule_of_keys)
KNOWN_VOLUMES = (
    Rule(
        rule="!has(self.mounts) || self.mounts.all(mount, has(self.volumes) && "
        "self.volumes.exists(volume, volume.name == mount.name))",
        message=template.UNKNOWN_VOLUME,
        field_path=".mounts",
    ),
    Rule(
        rule="!has(self.initContainers) || self.initContainers.all(one, !has(one.mounts) || one.mounts.all(mount, "
        "has(self.volumes) && self.volumes.exists(volume, volume.name == mount.name)))",
        message=template.UNKNOWN_VOLUME,
        field_path=".initContainers",
    ),
)
REQUIRED, PREFERRED = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in ("required", "preferred"))
REQUIREMENTS = (
    *(
        f".nodeAffinity.{nodes}.{of}[]"
        for nodes in (f"{REQUIRED}.nodeSelectorTerms[]", f"{PREFERRED}[].preference")
        for of in ("matchExpressions", "matchFields")
    ),
    *(
        f".{affinity}.{pods}.{of}.matchExpressions[]"
        for affinity in ("podAffinity", "podAntiAffinity")
        for pods in (f"{REQUIRED}[]", f"{PREFERRED}[].podAffinityTerm")
        for of in ("labelSelector", "namespaceSelector")
    ),
)
"""Where an affinity says what labels must be."""

NO_LOGIN_IN_IMAGE = Rule(rule=f"self.matches(r'{IMAGE}')", message=template.LOGIN_IN_IMAGE)


def _not_above(amount: str) -> Rule:
    both = " && ".join(f"has(self.{part}) && has(self.{part}.{amount})" for part in ("requests", "limits"))
    return Rule(
        rule=f"!({both}) || quantity(self.requests.{amount}).compareTo(quantity(self.limits.{amount})) <= 0",
        message=f"requests.{amount} is above limits.{amount}",
        field_path=".requests",
    )


def rules(path: str) -> Rules:
    """Return the rules of the template at `path`, such as ``spec.template``."""
    return {
        path: KNOWN_VOLUMES,
        f"{path}.labels": KEYS,
        f"{path}.annotations": KEYS,
        f"{path}.volumes[]": (volumes.Volume.rule(),),
        f"{path}.volumes[].name": (volumes.OUR_VOLUMES.rule,),
        f"{path}.volumes[].projected.sources[]": (volumes.ProjectedSource.rule(),),
        f"{path}.initContainers[].name": (template.OUR_CONTAINERS.rule,),
        f"{path}.initContainers[].image": (NO_LOGIN_IN_IMAGE,),
        f"{path}.nodeSelector": (placement.ODD_KEYS.rule_of_keys,),
        f"{path}.tolerations[]": placement.Toleration.rules,
        **{f"{path}.affinity{one}": placement.Requirement.rules for one in REQUIREMENTS},
        f"{path}.topologySpread[]": placement.Spread.rules,
        f"{path}.startup": (SENSIBLE,),
        **_of_container(path),
        **_of_container(f"{path}.initContainers[]"),
    }


def of_consumer(path: str) -> Rules:
    """Return the rules of a Consumer's template at `path`."""
    return {**rules(path), f"{path}.serviceAccountName": (template.OUR_ACCOUNTS.rule,)}


def of_workers(path: str) -> Rules:
    """Return the rules of the workers' template at `path`."""
    return {
        **rules(path),
        f"{path}.jvmOptions[]": tuple(one.rule for one in template.REFUSED_OPTIONS),
    }


def _of_container(path: str) -> Rules:
    return {
        f"{path}.env[]": (environment.Env.rule(), *environment.Env.rules),
        f"{path}.env[].name": (environment.OURS.rule,),
        f"{path}.env[].valueFrom": (environment.ValueFrom.rule(),),
        f"{path}.envFrom[]": (environment.EnvFrom.rule(),),
        f"{path}.mounts[].mountPath": (volumes.OUR_PLACES.rule,),
        f"{path}.resources": (_not_above("cpu"), _not_above("memory")),
    }
