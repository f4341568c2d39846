"""On which nodes pods may run, in the shapes that Kubernetes gives it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from headrace_operator.api.schema import LABEL, Model, Rule
from headrace_operator.api.words import Refused

PREFIX = r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
WORD = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317, pattern=f"^{PREFIX}{WORD}$")]
"""The name of a label."""

LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=f"^({WORD})?$")]
"""The value of a label."""

ODD_KEYS = Refused(
    pattern=r"^$|^[^A-Za-z0-9]|[^A-Za-z0-9]$|[^-A-Za-z0-9_./]|/.*/|^[^/]*[A-Z_][^/]*/|[^/]{64}$",
    message="a name here is letters, digits, dots, hyphens and underscores, 63 at most, with or without a domain and / "
    "before it",
)
Labels = Annotated[dict[str, LabelValue], AfterValidator(ODD_KEYS.keys)]
"""Labels by their names."""

WITHOUT_VALUES = ("Exists", "DoesNotExist")
VALUES = "the operators Exists and DoesNotExist have no values, the others have some"
NO_VALUE = "with the operator Exists there is no value: leave it out"
WITHOUT_KEY = "without a key the operator is Exists"
FOR_A_WHILE = "tolerationSeconds is for the effect NoExecute alone"
DOMAINS = "minDomains is for DoNotSchedule alone"


class Requirement(Model):
    """What a label of a pod or namespace must be."""

    key: LabelKey = Field(description="Name of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How its value relates to the values."
    )
    values: tuple[LabelValue, ...] | None = Field(None, max_length=50, description="Values, for In and NotIn.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule=f"(self.operator in {list(WITHOUT_VALUES)}) == (!has(self.values) || self.values.size() == 0)",
            message=VALUES,
        ),
    )

    @model_validator(mode="after")
    def _has_its_values(self) -> Self:
        if (self.operator in WITHOUT_VALUES) == bool(self.values):
            raise ValueError(VALUES)
        return self


class NodeRequirement(Model):
    """What a label or field of a node must be."""

    key: LabelKey = Field(description="Name of the label or field.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        description="How its value relates to the values."
    )
    values: tuple[LabelValue, ...] | None = Field(None, max_length=50, description="Values, one for Gt and Lt.")

    @model_validator(mode="after")
    def _has_its_values(self) -> Self:
        if (self.operator in WITHOUT_VALUES) == bool(self.values):
            raise ValueError(VALUES)
        return self


class NodeTerm(Model):
    """Nodes that meet all of these."""

    match_expressions: tuple[NodeRequirement, ...] | None = Field(
        None, max_length=20, description="What the node's labels must be."
    )
    match_fields: tuple[NodeRequirement, ...] | None = Field(
        None, max_length=20, description="What the node's fields must be."
    )


class NodeTerms(Model):
    """Nodes that meet one of these terms."""

    node_selector_terms: tuple[NodeTerm, ...] = Field(
        min_length=1, max_length=20, description="Terms of which one must be met."
    )


class PreferredNodes(Model):
    """Nodes that are preferred."""

    weight: int = Field(ge=1, le=100, description="How much this counts, 1 to 100.")
    preference: NodeTerm = Field(description="Nodes that are preferred.")


class NodeAffinity(Model):
    """On which nodes pods must or should run."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = Field(
        None, description="Nodes that pods need."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredNodes, ...] | None = Field(
        None, max_length=20, description="Nodes that pods prefer."
    )


class Selector(Model):
    """Pods or namespaces by their labels."""

    match_labels: Labels | None = Field(None, description="Labels and their values.")
    match_expressions: tuple[Requirement, ...] | None = Field(
        None, max_length=20, description="What their labels must be."
    )


class PodTerm(Model):
    """Pods that these are to be near, or away from."""

    topology_key: LabelKey = Field(description="Label of nodes within which pods are near.")
    label_selector: Selector | None = Field(None, description="The other pods, by their labels.")
    namespaces: tuple[Annotated[str, StringConstraints(max_length=63, pattern=LABEL)], ...] | None = Field(
        None, max_length=50, description="Namespaces of the other pods. Default: this one."
    )
    namespace_selector: Selector | None = Field(None, description="Namespaces of the other pods, by their labels.")


class PreferredPods(Model):
    """Pods that these should be near, or away from."""

    weight: int = Field(ge=1, le=100, description="How much this counts, 1 to 100.")
    pod_affinity_term: PodTerm = Field(description="The other pods.")


class PodAffinity(Model):
    """Which pods these must or should be near, or away from."""

    required_during_scheduling_ignored_during_execution: tuple[PodTerm, ...] | None = Field(
        None, max_length=20, description="What must be so."
    )
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredPods, ...] | None = Field(
        None, max_length=20, description="What should be so."
    )


class Affinity(Model):
    """Where pods must or should run."""

    node_affinity: NodeAffinity | None = Field(None, description="On which nodes pods run.")
    pod_affinity: PodAffinity | None = Field(None, description="Which pods these are near.")
    pod_anti_affinity: PodAffinity | None = Field(None, description="Which pods these are away from.")


class Toleration(Model):
    """A taint of nodes that pods bear."""

    key: LabelKey | None = Field(None, description="Key of the taint. Default: any, with Exists.")
    operator: Literal["Equal", "Exists"] | None = Field(
        None, description="Whether the value counts. Default: Equal, which it does with."
    )
    value: LabelValue | None = Field(None, description="Value of the taint, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Effect of the taint. Default: any."
    )
    toleration_seconds: int | None = Field(
        None, ge=0, le=2**31 - 1, description="How long pods bear NoExecute, in seconds. Default: for ever."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="!has(self.value) || !has(self.operator) || self.operator != 'Exists'", message=NO_VALUE),
        Rule(rule="has(self.key) || (has(self.operator) && self.operator == 'Exists')", message=WITHOUT_KEY),
        Rule(
            rule="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            message=FOR_A_WHILE,
        ),
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(NO_VALUE)
        if self.operator != "Exists" and self.key is None:
            raise ValueError(WITHOUT_KEY)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(FOR_A_WHILE)
        return self


class Spread(Model):
    """How evenly the pods are spread; which pods count is said by Headrace."""

    topology_key: LabelKey = Field(description="Label of nodes over whose values pods are spread.")
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        description="Whether a pod waits when it cannot be so."
    )
    max_skew: int = Field(ge=1, le=1000, description="By how many pods two values may differ.")
    min_domains: int | None = Field(None, ge=1, le=1000, description="Least number of values, for DoNotSchedule alone.")
    node_affinity_policy: Literal["Honor", "Ignore"] | None = Field(
        None, description="Whether only nodes count that pods may run on. Default: Honor."
    )
    node_taints_policy: Literal["Honor", "Ignore"] | None = Field(
        None, description="Whether only nodes count whose taints pods bear. Default: Ignore."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(rule="!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'", message=DOMAINS),
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.min_domains is not None and self.when_unsatisfiable != "DoNotSchedule":
            raise ValueError(DOMAINS)
        return self
