"""What README says of the operator's own preview: it reads everything, and writes nothing."""

from __future__ import annotations

import pytest

from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]


def test_nothing_is_to_be_done_about_a_pipeline_that_runs(told: str) -> None:
    preview = ("-n", "headrace-system", "exec", "-i", "deploy/headrace-operator", "--", "headrace-operator", "plan")

    def shown() -> str | None:
        said = world.kubectl(*preview, "-n", "shop", "-f", "-", stdin=world.EXAMPLE.read_text(), check=False)
        return said if said.count("nothing to do") == said.count(" Ready=True") == 4 else None

    assert "Consumer shop/billing" in until("four resources with nothing to do", shown)


def test_what_runs_differs_in_nothing_from_what_was_applied(told: str) -> None:
    """Nobody but the user writes a spec: tools that compare see no drift, and a second apply changes nothing."""
    example = ("-n", "shop", "-f", str(world.EXAMPLE))

    world.await_no_difference(*example)
    again = world.kubectl("apply", *example).splitlines()
    assert [line.rpartition(" ")[2] for line in again] == ["unchanged"] * 4
