"""What users call a captured table, and an outbox route: one pattern for the schema and for the plans."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from headrace_operator.api.schema import Rule

TABLE = r'^[^\s.,"][^,"\x00-\x1f\x7f]*\.[^,"\x00-\x1f\x7f]*[^\s,"]$'
MESSAGE = (
    "a table is schema.table, such as public.orders, as the database has it: with its schema, "
    "without quotes, and none that has a comma in its name"
)
IS_TABLE = Rule(rule=f"self.matches(r'{TABLE}')", message=MESSAGE)


def _is_table(text: str) -> str:
    if not re.fullmatch(TABLE, text):
        raise PydanticCustomError("table", MESSAGE)
    return text


Table = Annotated[str, StringConstraints(max_length=127), AfterValidator(_is_table)]
"""A table as schema.table: the name itself, which is no pattern."""

Route = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A value of the outbox column that decides the topic."""
