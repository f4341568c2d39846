"""A kind: how it is named, what `kubectl get` shows of it, and which rules its spec obeys."""

from __future__ import annotations

from dataclasses import dataclass

from headrace_operator.api.schema import LABEL, Model, Rule, Status


@dataclass(frozen=True, kw_only=True)
class Column:
    """One printer column; `wide` shows it only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


WAS_SEEN = "has(self.status) && has(self.status.conditions)"


@dataclass(frozen=True, kw_only=True)
class Naming:
    """A pattern of names, and what a name is that has it, in the user's words."""

    pattern: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind; `rules` are CEL rules by the path of the node they stand on, such as ``spec.capture``.

    Rules at the path ``""`` stand on the whole object, so that they see its status too. `naming` is what its name must
    be, so that all that is named after it can be made and clashes with nothing else.
    """

    name: str
    plural: str
    short: str
    longest_name: int
    naming: Naming
    description: str
    spec: type[Model]
    status: type[Status]
    columns: tuple[Column, ...]
    rules: dict[str, tuple[Rule, ...]]

    @property
    def name_rule(self) -> Rule:
        """Return the rule for a new name; a resource that was seen before there was a rule may still be edited."""
        return Rule(
            rule=f"{WAS_SEEN} || self.metadata.name.matches('{self.naming.pattern}')",
            message=self.naming.message,
            field_path=".metadata.name",
        )


READY = Column(name="Ready", path='.status.conditions[?(@.type=="Ready")].status')
REASON = Column(name="Reason", path='.status.conditions[?(@.type=="Ready")].reason')
MESSAGE = Column(name="Message", path='.status.conditions[?(@.type=="Ready")].message', wide=True)
AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")
NO_DOTS = Naming(
    pattern=LABEL,
    message="a name has no dots, so that what is named after it is nothing else's: use letters, digits and hyphens",
)
