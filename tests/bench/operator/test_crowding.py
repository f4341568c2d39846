"""What the bench of the operator counts as soon, as held, and as worth writing down."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from prometheus_client import generate_latest

from headrace_operator.metrics import Fleet
from tests.bench.operator import crowding, family, report
from tests.operator import scraped
from tests.waiting import until

FIGURES = {gate.figure: gate.bound for gate in report.CROWD}


def _page(looks: list[float]) -> list[str]:
    fleet = Fleet()
    for seconds in looks:
        fleet.looked_again("Consumer", seconds)
        fleet.looked_again("Connector", 1000.0)
    return generate_latest(fleet.registry).decode().splitlines()


def test_looks_are_soon_by_what_came_since() -> None:
    """Those before the rest do not count, nor those at other kinds; of two operators both count."""
    before, after = _page([100.0, 5.0]), _page([100.0, 5.0, 5.0, 14.9, 15.1])

    assert crowding.soon([before, before], [after, before]) == pytest.approx(2 / 3)
    assert crowding.soon([after, before], [after, after]) == pytest.approx(2 / 3)
    assert crowding.soon([after], [after]) == 0.0


def test_series_are_summed_by_name_and_labels() -> None:
    """A longer name is another series."""
    lines = ["# HELP a", "a 1.5", 'a{b="c",d="e"} 2', 'a{b="c"} 4', 'a_total{b="c"} 8']

    assert [scraped.total(lines, "a"), scraped.total(lines, "a", b="c"), scraped.total(lines, "a", b="c", d="e")] == [
        7.5,
        6.0,
        2.0,
    ]


@pytest.mark.parametrize(("change", "wrong"), [(0.0, 0), (0.001, 6), (-0.001, 1)])
def test_a_bound_holds_at_itself(change: float, wrong: int) -> None:
    """What may be at most so much, and what must be at least so much."""
    told = report.judged(report.CROWD, {name: bound + change for name, bound in FIGURES.items()})

    assert [gate["holds"] for gate in told].count(False) == wrong


def test_the_page_says_what_does_not_hold_and_who_else_was_there() -> None:
    figures = {**FIGURES, "cores": 0.7, "latest look s": 3.0}
    told = {"title": "Few", "at": "now", "commit": "c", "machine": "m", "others": 0.4, "figures": figures}
    page = report.text({**told, "gates": report.judged(report.CROWD, figures)})

    assert "Others used 40% of the processors: **not alone on the machine**." in page
    assert "| cores | 0.7 | ≤ 0.5 | **does not hold** |" in page
    assert "| looks within 15 s, share | 0.99 | ≥ 0.99 | holds |" in page
    assert "| latest look s | 3 | |  |" in page


def test_what_a_child_of_a_child_works_is_counted() -> None:
    """Else what the bench itself starts would pass for others."""
    spin = "import os, time\nwhile time.process_time() < 0.5: pass\nprint(os.getpid(), flush=True)\ntime.sleep(600)"
    before = family.used()
    with subprocess.Popen(["/bin/sh", "-c", f'"{sys.executable}" -c "$SPIN"; :'], env={**os.environ, "SPIN": spin},
                          stdout=subprocess.PIPE) as shell:  # fmt: skip
        assert shell.stdout is not None
        pid = int(shell.stdout.readline())
        try:
            until("it is counted", lambda: family.used() - before >= 0.5)
        finally:
            os.kill(pid, 9)
