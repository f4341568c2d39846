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


@pytest.mark.parametrize(
    ("told", "watched"), [("", ("headrace-system",)), ("shop, bakery", ("shop", "bakery")), ("*", settings.EVERYWHERE)]
)
def test_namespaces_are_those_named_or_its_own_or_all(told: str, watched: tuple[str, ...]) -> None:
    read = settings.read({**settings.OUTSIDE, "HEADRACE_WATCH_NAMESPACES": told})

    assert (read.watch_namespaces, read.watches_all) == (watched, told == "*")


@pytest.mark.parametrize("name", ["", "east", "a", "eu-1", "x" * 30])
def test_a_cluster_is_called_so(name: str) -> None:
    assert settings.read({**settings.OUTSIDE, "HEADRACE_CLUSTER_NAME": name}).cluster_name == name


@pytest.mark.parametrize("name", ["East", "a.b", "-a", "a-", "dlq", "retry", "connect", "x" * 31, "a\n"])
def test_a_name_that_what_is_made_could_not_have_ends_the_start(name: str) -> None:
    """By its dots, by its length, or as topics of ours begin so."""
    with pytest.raises(ValueError, match="clusterName of the chart"):
        settings.read({**settings.OUTSIDE, "HEADRACE_CLUSTER_NAME": name})
