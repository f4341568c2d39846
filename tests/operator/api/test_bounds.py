"""Values at the bounds of every field: the API server, by schema and rules, judges them as the plan does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import Api, connection, path
from headrace_operator.clients.errors import Invalid
from tests.cluster.fast import ApiServer
from tests.operator.crowd import Patient
from tests.operator.plan import leaves, templates
from tests.operator.plan.leaves import Json

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

BY_THE_PLAN_ALONE = ("hostAliases[].ip",)
"""What patterns cannot tell: an address that is none has its characters."""


def at_bounds() -> Iterator[tuple[str, Json, str, bool]]:
    """Yield specs with a value at a bound of a field, or beyond; what it is; and whether models know no such bound."""
    for kind in leaves.SPECS:
        nodes = leaves.fields(kind)
        for field, found in leaves.places(kind).items():
            spec, place = found[0]
            for edge in leaves.edges(nodes[field], leaves.value(spec, place)):
                open_ended = leaves.is_bound_by_the_schema_alone(nodes[field], edge)
                yield kind, templates.changed(spec, place, edge), f"{kind} {field}: {edge!r:.40}", open_ended


async def is_taken(api: Api, kind: str, spec: Json) -> bool:
    """Tell whether the API server would take a resource with this spec."""
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "bounds"}, "spec": spec}
    try:
        await api.send("POST", path(API_VERSION, kind, "shop"), query={"dryRun": "All"}, body=body)
    except Invalid:
        return False
    return True


@pytest.mark.parametrize("step", [61, pytest.param(1, marks=pytest.mark.sweep)])
async def test_api_server_and_plan_judge_alike(server: ApiServer, step: int) -> None:
    api, apart = Patient(await connection(str(server.kubeconfig))), []
    try:
        for kind, spec, what, open_ended in list(at_bounds())[::step]:
            taken, told = await is_taken(api, kind, spec), leaves.refusal(leaves.first(kind, spec))
            argued = (open_ended and not taken) or (taken and what.partition(": ")[0].endswith(BY_THE_PLAN_ALONE))
            if taken is not (told is None) and not argued:
                apart.append(f"{what}: {'taken' if taken else 'not taken'} by the API server, and the plan: {told}")
    finally:
        await api.close()

    assert apart == []
