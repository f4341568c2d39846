"""Every alert fires when it should, stays quiet when it should, and has a page: judged by promtool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dashboards.src import rules
from tests.dashboards import promtool

ROOT = Path(__file__).parents[2]
FILE = ROOT / "dashboards/rules/headrace.yaml"
K = 'resource_namespace="shop", pipeline="orders", consumer="billing"'
C = 'resource_namespace="shop", pipeline="orders", connector="orders-db"'
P = f'{K}, topic="t", partition="0"'
R = 'resource_namespace="shop", pipeline="orders", name="x", condition="Ready"'
ATTEMPTS = "headrace_consumer_attempts_total"


@dataclass(frozen=True, kw_only=True)
class Case:
    """Series and their values each minute for an hour and a half: `fires` must fire, `quiet` must not, at `minute`."""

    alert: str
    fires: dict[str, str]
    quiet: dict[str, str]
    minute: int = 30


def _lag(seconds: int) -> dict[str, str]:
    return {
        f"headrace_consumer_lag_seconds{{{P}}}": f"{seconds}x90",
        f"headrace_consumer_slo_lag_seconds{{{K}}}": "60x90",
    }


def _stands(committed: str, lag: str = "5x90") -> dict[str, str]:
    return {f"headrace_consumer_lag_messages{{{P}}}": lag, f"headrace_consumer_committed_offset{{{P}}}": committed}


def _attempts(retries: int) -> dict[str, str]:
    return {f'{ATTEMPTS}{{{K}, outcome="ok"}}': "0+90x90", f'{ATTEMPTS}{{{K}, outcome="retry"}}': f"0+{retries}x90"}


def _one(
    metric: str, labels: str, fires: str, quiet: str, minute: int = 30
) -> tuple[dict[str, str], dict[str, str], int]:
    series = f"{metric}{{{labels}}}"
    return {series: fires}, {series: quiet}, minute


def _case(alert: str, parts: tuple[dict[str, str], dict[str, str], int]) -> Case:
    fires, quiet, minute = parts
    return Case(alert=alert, fires=fires, quiet=quiet, minute=minute)


SEEN = f'headrace_resource_condition{{{R}, kind="Consumer", status="True"}}'
PASSES = 'headrace_operator_reconciliations_total{kind="Consumer", outcome="ok"}'
CASES = (
    Case(alert="HeadraceLagAboveTarget", fires=_lag(61), quiet=_lag(60)),
    Case(alert="HeadraceConsumerStandsStill", fires=_stands("7x90"), quiet=_stands("7+1x90")),
    Case(alert="HeadraceConsumerStandsStill", fires=_stands("_x90"), quiet=_stands("7x90", lag="0x90")),
    Case(alert="HeadraceRetriesHigh", fires=_attempts(11), quiet=_attempts(9)),
    _case(
        "HeadraceDeadLetterArrived",
        _one("headrace_consumer_dead_letters_total", f'{K}, reason="rejected"', "0x28 1x60", "3x90"),
    ),
    _case("HeadraceDeadLettersOutstanding", _one("headrace_dlq_outstanding_messages", K, "5x90", "5x40 0x50", 70)),
    _case(
        "HeadraceDeadLetterNotWritten", _one("headrace_consumer_dead_letter_failures_total", K, "0x20 1+1x60", "4x90")
    ),
    _case("HeadraceConnectorFailed", _one("headrace_connector_state", f'{C}, state="FAILED"', "1x90", "0x28 1x1 0x60")),
    _case("HeadraceTaskFailed", _one("headrace_connector_tasks", f'{C}, state="FAILED"', "1x90", "0x90")),
    Case(
        alert="HeadraceConnectNotReady",
        fires={f'headrace_resource_condition{{{R}, kind="ConnectCluster", status="False"}}': "1x90"},
        quiet={f'headrace_resource_condition{{{R}, kind="ConnectCluster", status="True"}}': "1x90"},
    ),
    Case(
        alert="HeadraceOperatorDown",
        fires={'headrace_build_info{version="1"}': "1x10 stale _x80"},
        quiet={'headrace_build_info{version="1"}': "1x90"},
    ),
    Case(alert="HeadraceOperatorNotReconciling", fires={SEEN: "1x90", PASSES: "9x90"}, quiet={PASSES: "9x90"}),
    Case(
        alert="HeadraceOperatorNotReconciling",
        fires={SEEN: "1x90", PASSES: "9x90"},
        quiet={SEEN: "1x90", PASSES: "0+6x90"},
    ),
    Case(
        alert="HeadraceResourceNotReady",
        fires={f'headrace_resource_condition{{{R}, kind="Consumer", status="Unknown"}}': "1x90"},
        quiet={SEEN: "1x90"},
    ),
)


def _fires(case: Case, series: dict[str, str], folder: Path) -> bool:
    """Tell whether the alert fires: a test that expects silence fails exactly then, and names the alert."""
    test = {
        "rule_files": [str(FILE)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": case.alert, "exp_alerts": []}],
            }
        ],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(test))
    done = promtool.run("test", "rules", str(path))
    said = done.stdout + done.stderr
    assert done.returncode == 0 or f"alertname: {case.alert}" in said, said
    return done.returncode != 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_alert_fires_and_stays_quiet(case: Case, tmp_path: Path) -> None:
    """The alert fires on the one world, and not on the other."""
    assert _fires(case, case.fires, tmp_path)
    assert not _fires(case, case.quiet, tmp_path)


def test_rules_are_valid() -> None:
    """Prometheus reads the rule file."""
    done = promtool.run("check", "rules", "--lint=all", "--lint-fatal", str(FILE))

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_has_its_page() -> None:
    """No alert without a case, no page without an alert, and each page says the three things."""
    alerts = {one.name for group in rules.GROUPS.values() for one in group}
    pages = {path.stem: path.read_text() for path in (ROOT / rules.RUNBOOKS).glob("*.md")}

    assert alerts == {case.alert for case in CASES} == set(pages)
    assert not [
        name
        for name, text in pages.items()
        for part in ("What it means", "Look at", "Do")
        if f"## {part}\n" not in text
    ]
