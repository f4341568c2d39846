"""Which spec is in force when a status was written by somebody else: nothing accepted is no bug."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.plan.statuses import BAD, WORLDS, changed, planned
from tests.operator.worlds import with_status


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("accepted", [{"generation": 1}, {"generation": 1, "spec": None}, {"spec": {"strange": 1}}])
@pytest.mark.parametrize("edit", [{}, BAD])
def test_an_accepted_spec_that_is_none_is_as_if_none_ever_was(
    kind: str, accepted: dict[str, Any], edit: dict[str, Any]
) -> None:
    plan = planned(changed(with_status(WORLDS[kind](), {"accepted": accepted}), **edit))

    assert (plan.status["accepted"] is None) == bool(edit)
