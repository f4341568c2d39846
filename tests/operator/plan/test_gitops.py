"""What the page about GitOps tells tools to do, done: Argo CD's script beside kstatus, and the commands to wait by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml

from headrace_operator.api.kinds import KINDS
from tests.cluster.fast import ApiServer
from tests.operator.operator_process import kubectl
from tests.operator.plan import statuses

PAGE = (Path(__file__).parents[3] / "docs/gitops.md").read_text()
ARGO = {"Current": {"Healthy", "Suspended"}, "InProgress": {"Progressing"}, "Failed": {"Degraded"}}
"""What Argo CD may say of what kstatus concludes."""


def health(resource: dict[str, Any]) -> str:
    """Return what the script on the page says of a resource, as Argo CD runs it."""
    (block,) = re.findall(r"```yaml\n(data:.+?)```", PAGE, re.DOTALL)
    (custom,) = yaml.safe_load(yaml.safe_load(block)["data"]["resource.customizations"]).values()
    lua = lupa.LuaRuntime()
    lua.globals().obj = lua.table_from(resource, recursive=True)
    return str(lua.execute(custom["health.lua"]).status)


@pytest.mark.parametrize(("name", "seen", "verdict"), statuses.CASES, ids=statuses.NAMES)
def test_argo_cd_agrees_with_kstatus(name: str, seen: tuple[Any, Any], verdict: str) -> None:
    """Over the table of statuses that plans write."""
    resource, plan = seen

    assert health(statuses.as_object(resource, plan.status)) in ARGO[verdict]


def test_what_is_paused_is_suspended_and_an_edit_that_nobody_saw_is_progressing() -> None:
    """Also while what was accepted before goes on."""
    told = {name: health(statuses.as_object(resource, plan.status)) for name, (resource, plan), _ in statuses.CASES}
    edited = statuses.as_object(statuses.settled("Consumer").resource, statuses.settled("Consumer").resource.status)
    edited["metadata"]["generation"] = 99

    assert {verdict for name, verdict in told.items() if "paused" in name.lower()} <= {"Suspended", "Progressing"}
    assert "Suspended" in told.values()
    assert health(edited) == "Progressing"
    assert health({"metadata": {"generation": 1}}) == "Progressing"


def test_the_page_waits_for_each_kind_by_its_short_name() -> None:
    waited = re.findall(r"^kubectl .* wait (\w+)/\S+ --for=condition=Ready", PAGE, re.MULTILINE)

    assert waited == [kind.short for kind in KINDS]


@pytest.mark.apiserver
def test_the_commands_of_the_page_end_once_all_is_well(server: ApiServer) -> None:
    """Each as it stands, and none of them a second before."""
    commands = re.findall(r"^kubectl -n shop wait (\w+)/(\S+) --for=condition=Ready --timeout=3m$", PAGE, re.MULTILINE)
    for (short, name), kind in zip(commands, KINDS, strict=True):
        settled = statuses.settled(kind.name).resource
        server.client.apply({**statuses.as_object(settled, {}), "metadata": {"name": name}}, "shop")
        wait = ("-n", "shop", "wait", f"{short}/{name}", "--for=condition=Ready")
        with pytest.raises(AssertionError, match=r"timed out|deadline exceeded"):
            kubectl(server, *wait, "--timeout=1s")
        status = {**settled.status, "observedGeneration": 1}
        server.client.patch(kind.name, name, {"status": status}, "shop", part="status")

        assert "condition met" in kubectl(server, *wait, "--timeout=3m")
        server.client.delete(kind.name, name, "shop")
