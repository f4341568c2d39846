"""Texts that a spec may not have, choices of exactly one, lists without twins: said once, for schema and model."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import model_validator

from headrace_operator.api.schema import Model, Rule


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Texts in which `pattern` (RE2) is found, and what to tell who writes one."""

    pattern: str
    message: str

    def __call__(self, text: str) -> str:
        """Return `text` unless it is refused; raises `ValueError`."""
        if re.search(self.pattern, text):
            raise ValueError(self.message)
        return text

    def keys(self, named: dict[str, str]) -> dict[str, str]:
        """Return `named` unless one of its names is refused; raises `ValueError`."""
        for name in named:
            self(name)
        return named

    @property
    def rule(self) -> Rule:
        """Return the rule of a text."""
        return Rule(rule=f"!self.matches(r'{self.pattern}')", message=self.message)

    @property
    def rule_of_keys(self) -> Rule:
        """Return the rule of a map whose names are such texts."""
        return Rule(rule=f"self.all(key, !key.matches(r'{self.pattern}'))", message=self.message)


def unless(*refusals: Refused) -> Callable[[str], str]:
    """Return what passes a text that none of `refusals` refuses; else it raises `ValueError`."""
    return lambda text: functools.reduce(lambda passed, refused: refused(passed), refusals, text)


class OneOf(Model):
    """A part of a spec that is exactly one of the fields named in `choices`, by their names on the wire."""

    choices: ClassVar[tuple[str, ...]]
    asked: ClassVar[str] = "write"
    """How the sentence begins that asks for one of them."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = {
            info.alias or name for name, info in type(self).model_fields.items() if getattr(self, name) is not None
        }
        if len(given.intersection(self.choices)) != 1:
            raise ValueError(self.told())
        return self

    @classmethod
    def told(cls) -> str:
        """Return what to tell who writes none or several."""
        return f"{cls.asked} exactly one of {', '.join(cls.choices[:-1])} and {cls.choices[-1]}"

    @classmethod
    def rule(cls) -> Rule:
        """Return the rule for the schema."""
        given = ", ".join(f"has(self.{choice})" for choice in cls.choices)
        rule = f"[{given}].filter(one, one).size() == 1"
        return Rule(rule=rule, message=cls.told(), field_path=f".{cls.choices[0]}")


def keyed(*keys: str) -> dict[str, Any]:
    """Return what makes a list of the schema have no two items that are alike in `keys`, by their names on the wire."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def distinct(*fields: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what refuses a list in which two items are alike in `fields`; it raises `ValueError`."""

    def check(items: tuple[Any, ...]) -> tuple[Any, ...]:
        seen = [tuple(getattr(item, field) for field in fields) for item in items]
        for one in seen:
            if seen.count(one) > 1:
                raise ValueError(f"{', '.join(one)} is there twice")
        return items

    return check
