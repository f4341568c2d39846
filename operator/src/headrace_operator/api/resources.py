"""Amounts of compute that a container may be given."""

from __future__ import annotations

from pydantic import Field

from headrace_operator.api.schema import Model

BYTES = r"^[0-9]+(\.[0-9]+)?([KMGT]i|[kMGT])?$"


class Amounts(Model):
    """Amounts of compute, in the notation of Kubernetes."""

    cpu: str | None = Field(
        None, pattern=r"^[0-9]+(\.[0-9]+)?m?$", max_length=20, description="Processor time, such as 500m or 2."
    )
    memory: str | None = Field(None, pattern=BYTES, max_length=20, description="Memory, such as 768Mi or 2Gi.")


class Resources(Model):
    """What one container may use; what is not given has a default, which gives way to what is."""

    requests: Amounts | None = Field(None, description="What is reserved for one pod.")
    limits: Amounts | None = Field(None, description="What one pod may use at most.")
