"""Which pipeline a resource belongs to: what dashboards and alerts group by, and the label on what is made for it."""

from __future__ import annotations

from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConsumerWorld

LABEL = "headrace.dev/pipeline"


def of_itself(resource: Resource) -> str:
    """Return the pipeline that a resource's label names, or else its own name."""
    return resource.labels.get(LABEL) or resource.name


def of_consumer(world: ConsumerWorld) -> str:
    """Return the pipeline that a Consumer's label names, or else its Connector's, or else the Consumer's own name.

    While nobody can say which Connector it has, it stays what it was.
    """
    resource = world.resource
    if own := resource.labels.get(LABEL):
        return own
    match world.connector:
        case Resource() as connector:
            return of_itself(connector)
        case Unknown():
            return str(resource.status.get("pipeline") or resource.name)
        case _:
            return resource.name
