"""What surroundings that say little come to."""

from __future__ import annotations

import pytest

from headrace_operator import settings


@pytest.mark.case("clusters-18")
@pytest.mark.parametrize("surroundings", [{}, {"HOSTNAME": ""}])
def test_two_processes_that_no_host_names_are_not_one_holder(surroundings: dict[str, str]) -> None:
    """Else both would hold the Lease."""
    first, second = (settings.read({**settings.OUTSIDE, **surroundings}).identity for _ in range(2))

    assert first != second
    assert settings.read({**settings.OUTSIDE, "HOSTNAME": "operator-1"}).identity == "operator-1"
